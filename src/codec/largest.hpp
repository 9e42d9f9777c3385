#pragma once
/// The k values of the largest size in a vector, exactly: of equal ones those with the lower index, nans above all.
///
/// A sample tells a bound that somewhat more than k values reach; one pass collects those, and the k largest of them
/// are the answer. Should fewer than k reach it, the bound was wrong and a lower one is tried: chance costs time only.
/// Keeps its memory between calls. One thread at a time.

#include <cstdint>
#include <span>
#include <vector>

namespace dtrain::codec {

class Largest {
 public:
  /// Ascending indices; valid until the next call. k <= values.size() < 2^32.
  std::span<const std::uint32_t> pick(std::span<const float> values, std::size_t k);

 private:
  std::uint32_t guess(std::span<const float> values, std::size_t wanted);
  void collect(std::span<const float> values, std::uint32_t bound);
  void collect_from(std::span<const float> values, std::size_t begin, std::size_t end, std::uint32_t bound);
  void keep_largest(std::size_t k);

  std::vector<std::uint32_t> sample_;
  std::vector<std::uint64_t> candidates_;  ///< those that reach the bound, by ascending index
  std::size_t found_ = 0;                  ///< how many of candidates_ are meant
  std::vector<std::uint64_t> ranked_;
  std::vector<std::uint32_t> indices_;
};

}  // namespace dtrain::codec
