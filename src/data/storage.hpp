#pragma once
/// How the features of many rows lie in memory: as compact as they came, encoded row by row on the way out.
/// Immutable after construction; any thread may encode.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.hpp"  // Index

namespace dtrain::data {

/// feature' = (feature - shift) * scale; one number each for all features alike, or one a feature.
struct Affine {
  std::span<const float> shift;
  std::span<const float> scale;
  bool uniform() const { return shift.size() == 1; }
};

class Storage {
 public:
  virtual ~Storage() = default;
  virtual Index rows() const = 0;
  virtual Index width() const = 0;
  /// Writes width() features of `row` to `out`. No allocation.
  virtual void encode(std::uint32_t row, const Affine& affine, float* out) const = 0;
  /// A copy that holds these rows only, in this order.
  virtual std::unique_ptr<Storage> select(std::span<const std::uint32_t> rows) const = 0;
  virtual std::size_t bytes() const = 0;
  /// What is not zero, where that is how rows lie.
  virtual const struct Sparse* sparse() const { return nullptr; }
};

/// rows x width unsigned bytes that start at `offset` of `bytes`.
std::unique_ptr<Storage> byte_storage(std::string bytes, std::size_t offset, Index rows, Index width);

/// rows x width floats.
std::unique_ptr<Storage> float_storage(std::vector<float> values, Index rows, Index width);

/// Compressed rows (CSR): row r has values[k] at feature indices[k] (from 0, ascending), k in [begins[r], begins[r+1]).
struct Sparse {
  std::vector<std::uint64_t> begins{0};
  std::vector<std::uint32_t> indices;
  std::vector<float> values;
};
/// Every index is below `width`.
std::unique_ptr<Storage> sparse_storage(Sparse sparse, Index width);

/// Rows of one cell a column. levels[c] = 0: the cell is the feature. Else it is the number of a level and becomes
/// levels[c] indicator features, all zero when it is -1.
std::unique_ptr<Storage> table_storage(std::vector<float> cells, Index rows, std::vector<Index> levels);

}  // namespace dtrain::data
