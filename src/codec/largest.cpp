#include "codec/largest.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>

#include "math/clones.hpp"

namespace dtrain::codec {
namespace {

constexpr std::size_t run_values = 16;  // a sample's neighbours share a cache line
constexpr std::size_t most_runs = 512;
constexpr std::size_t stretch_values = 64;
constexpr std::size_t part_stretches = 64;
constexpr std::size_t part_values = part_stretches * stretch_values;

/// Sizes of floats are ordered as their bits without the sign.
DTRAIN_INLINE std::uint32_t size_bits(float value) { return std::bit_cast<std::uint32_t>(value) & 0x7fffffffu; }

/// Tells of each whole stretch whether any of its values reaches the bound.
DTRAIN_CLONES void look_for(std::uint32_t bound, const float* values, std::size_t stretches, bool* reached) {
  for (std::size_t stretch = 0; stretch < stretches; ++stretch, values += stretch_values) {
    std::uint32_t most = 0;
    for (std::size_t k = 0; k < stretch_values; ++k) most = std::max(most, size_bits(values[k]));
    reached[stretch] = most >= bound;
  }
}

/// A larger rank is a larger size or, for the same size, a lower index.
std::uint64_t rank_of(float value, std::size_t index) {
  return std::uint64_t{size_bits(value)} << 32 | static_cast<std::uint32_t>(~index);
}

std::uint32_t index_of(std::uint64_t rank) { return ~static_cast<std::uint32_t>(rank); }

}  // namespace

std::span<const std::uint32_t> Largest::pick(std::span<const float> values, std::size_t k) {
  assert(k <= values.size() && values.size() < std::size_t{1} << 32);
  indices_.resize(k);
  if (k == values.size()) {
    std::iota(indices_.begin(), indices_.end(), 0u);
    return indices_;
  }
  if (k == 0) return indices_;
  for (std::size_t wanted = k;; wanted *= 4) {
    collect(values, guess(values, wanted));
    if (found_ >= k) break;
  }
  keep_largest(k);
  return indices_;
}

/// A bound that `wanted` values reach with near certainty, if a sample of runs is as good as one of single values.
std::uint32_t Largest::guess(std::span<const float> values, std::size_t wanted) {
  const std::size_t runs = std::min(most_runs, values.size() / (8 * run_values));
  const double sampled = static_cast<double>(runs * run_values);
  const double share = sampled * static_cast<double>(wanted) / static_cast<double>(values.size());
  const double reached = share + 4 * std::sqrt(share) + 4;
  if (reached >= sampled) return 0;
  sample_.clear();
  for (std::size_t run = 0; run < runs; ++run)
    for (std::size_t k = 0; k < run_values; ++k) sample_.push_back(size_bits(values[run * (values.size() / runs) + k]));
  const auto at = sample_.begin() + static_cast<std::ptrdiff_t>(reached);
  std::nth_element(sample_.begin(), at, sample_.end(), std::greater<>());
  return *at;
}

void Largest::collect(std::span<const float> values, std::uint32_t bound) {
  found_ = 0;
  for (std::size_t begin = 0; begin < values.size(); begin += part_values) {
    if (candidates_.size() < found_ + part_values) candidates_.resize(found_ + 2 * part_values + found_ / 2);
    const std::size_t end = std::min(begin + part_values, values.size());
    bool reached[part_stretches];
    look_for(bound, values.data() + begin, (end - begin) / stretch_values, reached);
    for (std::size_t from = begin; from < end; from += stretch_values) {
      const std::size_t to = std::min(from + stretch_values, end);
      if (to - from < stretch_values || reached[(from - begin) / stretch_values]) collect_from(values, from, to, bound);
    }
  }
}

void Largest::collect_from(std::span<const float> values, std::size_t begin, std::size_t end, std::uint32_t bound) {
  // Each is written, and only the next one's place depends on the bound: no branch to foretell.
  for (std::size_t k = begin; k < end; ++k) {
    candidates_[found_] = rank_of(values[k], k);
    found_ += size_bits(values[k]) >= bound ? 1 : 0;
  }
}

void Largest::keep_largest(std::size_t k) {
  std::uint64_t last = 0;
  if (k < found_) {
    ranked_.assign(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(found_));
    const auto at = ranked_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(ranked_.begin(), at, ranked_.end(), std::greater<>());
    last = *at;
  }
  std::size_t kept = 0;
  for (std::size_t c = 0; c < found_; ++c)
    if (candidates_[c] >= last) indices_[kept++] = index_of(candidates_[c]);
  assert(kept == k);
}

}  // namespace dtrain::codec
