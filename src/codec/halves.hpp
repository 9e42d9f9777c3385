#pragma once
/// Floats as 16 bits: IEEE's binary16 and the upper half of a float, rounded to the nearest, ties to even.
///
/// A nan stays a nan (quiet, with its sign and its upper bits). The instructions of F16C and the portable code give
/// the same bits. `bytes` may be unaligned. Any thread.

#include <cstddef>
#include <cstdint>
#include <span>

namespace dtrain::codec {

std::uint16_t to_fp16(float value);
float from_fp16(std::uint16_t half);
std::uint16_t to_bf16(float value);
float from_bf16(std::uint16_t half);

/// Over whole vectors: bytes hold 2 * values.size() bytes.
void write_fp16(std::span<const float> values, std::byte* bytes);
void read_fp16(const std::byte* bytes, std::span<float> values);
void write_bf16(std::span<const float> values, std::byte* bytes);
void read_bf16(const std::byte* bytes, std::span<float> values);

}  // namespace dtrain::codec
