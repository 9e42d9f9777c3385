#pragma once
/// Where k of n values lie, in the shorter of two ways: a bit a value, or 2 bytes an index (codec.hpp has the grammar).
/// Pure; any thread.

#include "codec/bucketed.hpp"

namespace dtrain::codec {

std::size_t places_bytes(std::size_t k, std::size_t count);
/// Ascending indices below `count`; writes places_bytes(indices.size(), count) bytes.
void write_places(std::span<const std::uint32_t> indices, std::size_t count, std::byte* out);
/// Puts value i at the i-th place; `places` and `values` hold places_bytes(k, out.size()) and 4 * k bytes. Refuses
/// other than k places and indices that are out of range or do not ascend.
std::optional<Refusal> scatter(const std::byte* places, const std::byte* values, std::size_t k, std::span<float> out);

}  // namespace dtrain::codec
