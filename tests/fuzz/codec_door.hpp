#pragma once
/// What the bytes of an input mean to the codecs' door: one byte that picks a codec (its upper bit adds 65,536 values),
/// two that count the values, and then what is decoded.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "codec/codec.hpp"

namespace dtrain::codec {

struct Input {
  Options options;
  std::size_t count;
  std::span<const std::byte> bytes;
};

inline const std::array<Options, 13> options_at_the_door = {
    Options{},
    Options{.codec = job::Codec::fp16},
    Options{.codec = job::Codec::bf16},
    Options{.codec = job::Codec::qsgd, .levels = 1},
    Options{.codec = job::Codec::qsgd, .levels = 5},
    Options{.codec = job::Codec::qsgd, .levels = 100},
    Options{.codec = job::Codec::qsgd, .levels = 1000},
    Options{.codec = job::Codec::onebit},
    Options{.codec = job::Codec::topk, .density = 0.01, .first_density = 0.01},
    Options{.codec = job::Codec::topk, .density = 1},
    Options{.codec = job::Codec::zstd, .inner = job::Codec::none},
    Options{.codec = job::Codec::zstd, .inner = job::Codec::topk},
    Options{.signs = true},
};

inline std::optional<Input> input_of(std::span<const std::byte> data) {
  if (data.size() < 3) return {};
  const auto byte = [&](std::size_t k) { return std::to_integer<std::size_t>(data[k]); };
  const std::size_t choice = byte(0) % 128;
  if (choice >= options_at_the_door.size()) return {};
  return Input{options_at_the_door[choice], byte(1) + 256 * byte(2) + (byte(0) >= 128 ? 65536 : 0), data.subspan(3)};
}

}  // namespace dtrain::codec
