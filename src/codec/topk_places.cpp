#include "codec/topk_places.hpp"

#include <algorithm>
#include <bit>

#include "math/clones.hpp"

namespace dtrain::codec {
namespace {

constexpr std::size_t block_indices = 65536;

std::size_t blocks_of(std::size_t count) { return (count + block_indices - 1) / block_indices; }
std::size_t bits_bytes(std::size_t count) { return (count + 7) / 8; }
std::size_t list_bytes(std::size_t k, std::size_t count) { return 4 * blocks_of(count) + 2 * k; }
bool as_bits(std::size_t k, std::size_t count) { return bits_bytes(count) <= list_bytes(k, count); }

void write_bits(std::span<const std::uint32_t> indices, std::size_t count, std::byte* out) {
  std::fill_n(out, bits_bytes(count), std::byte{0});
  for (const std::uint32_t index : indices) out[index / 8] |= static_cast<std::byte>(1u << index % 8);
}

void write_list(std::span<const std::uint32_t> indices, std::size_t count, std::byte* out) {
  std::byte* lower = out + 4 * blocks_of(count);
  auto next = indices.begin();
  for (std::size_t block = 0; block < blocks_of(count); ++block) {
    const auto first = next;
    for (; next != indices.end() && *next / block_indices == block; ++next, lower += 2)
      store(static_cast<std::uint16_t>(*next), lower);
    store(static_cast<std::uint32_t>(next - first), out + 4 * block);
  }
}

/// Eight bytes from `from`, of which `left` exist.
DTRAIN_INLINE std::uint64_t load_bits(const std::byte* from, std::size_t left) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, from, std::min<std::size_t>(left, sizeof bits));
  return bits;
}

DTRAIN_CLONES std::size_t bits_set(const std::byte* places, std::size_t bytes) {
  std::size_t set = 0;
  for (std::size_t at = 0; at < bytes; at += 8)
    set += static_cast<std::size_t>(std::popcount(load_bits(places + at, bytes - at)));
  return set;
}

std::optional<Refusal> scatter_bits(const std::byte* places, const std::byte* values, std::size_t k,
                                    std::span<float> out) {
  const std::size_t bytes = bits_bytes(out.size());
  if (bits_set(places, bytes) != k) return Refusal{"as many bits as values are not set"};
  if (out.size() % 8 != 0 && std::to_integer<unsigned>(places[bytes - 1]) >> out.size() % 8 != 0)
    return Refusal{"an index is out of range"};
  for (std::size_t at = 0; at < bytes; at += 8)
    for (std::uint64_t bits = load_bits(places + at, bytes - at); bits != 0; bits &= bits - 1, values += 4)
      out[8 * at + static_cast<std::size_t>(std::countr_zero(bits))] = load<float>(values);
  return {};
}

std::optional<Refusal> scatter_list(const std::byte* places, const std::byte* values, std::size_t k,
                                    std::span<float> out) {
  const std::byte* lower = places + 4 * blocks_of(out.size());
  std::size_t left = k;
  for (std::size_t block = 0; block < blocks_of(out.size()); ++block) {
    const auto block_out = out.subspan(block * block_indices);
    const std::size_t here = load<std::uint32_t>(places + 4 * block);
    if (here > left) return Refusal{"the blocks name more indices than there are values"};
    left -= here;
    for (std::size_t i = 0, beyond = 0; i < here; ++i, lower += 2, values += 4) {
      const std::size_t index = load<std::uint16_t>(lower);
      if (index < beyond) return Refusal{"indices do not ascend"};
      if (index >= block_out.size()) return Refusal{"an index is out of range"};
      block_out[index] = load<float>(values);
      beyond = index + 1;
    }
  }
  if (left != 0) return Refusal{"the blocks name fewer indices than there are values"};
  return {};
}

}  // namespace

std::size_t places_bytes(std::size_t k, std::size_t count) { return std::min(bits_bytes(count), list_bytes(k, count)); }

void write_places(std::span<const std::uint32_t> indices, std::size_t count, std::byte* out) {
  if (as_bits(indices.size(), count))
    write_bits(indices, count, out);
  else
    write_list(indices, count, out);
}

std::optional<Refusal> scatter(const std::byte* places, const std::byte* values, std::size_t k, std::span<float> out) {
  return as_bits(k, out.size()) ? scatter_bits(places, values, k, out) : scatter_list(places, values, k, out);
}

}  // namespace dtrain::codec
