#pragma once
/// From a table's row to what the model takes, by a fitted encoding.

#include <cstdint>
#include <vector>

#include "data/affine.hpp"
#include "data/data.hpp"
#include "data/schema.hpp"
#include "data/selection.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// Decides once what becomes of each column; encoding a row is then a walk over that list. Any thread may encode.
class Encoder {
 public:
  /// Throws Error(Kind::data) if the table's columns are not those of the encoding, or if a number is missing for
  /// which the encoding has no substitute. Columns of a table are found by their names.
  Encoder(const Table& table, const Encoding& encoding);

  Index width() const { return width_; }
  /// Writes width() features of `row`. No allocation.
  void encode(std::uint32_t row, float* out) const;

  /// Whether most features of a row are zero, and stay so.
  bool sparse() const { return sparse_; }
  /// Values of categories, among these rows, that have no feature: the training rows did not have them.
  std::vector<std::string> remarks(const Selection& rows) const;

  /// Adds one row to `batch`: begins included. sparse() only.
  void append(std::uint32_t row, SparseBatch& batch) const;

  std::size_t bytes() const;

 private:
  /// One column of cells: a number, a level that becomes one of several indicators (category, hash), or a level that
  /// becomes several numbers (date).
  struct Work {
    enum class Kind { number, one_hot, numbers } kind = Kind::number;
    std::size_t cell = 0;                ///< in the table's row
    std::size_t feature = 0, count = 1;  ///< features [feature, feature + count)
    float fill = 0;                      ///< number: what a missing one becomes, after `steps`
    NumberSteps steps;                   ///< number
    bool idle = true;                    ///< `steps` change nothing
    std::vector<std::int32_t> features;  ///< one_hot: of each of the table's levels, relative to feature; -1: none
    std::vector<float> values;           ///< numbers: [level, count]; NaN: not to be had

    float number(float value) const;
  };

  void match(const Encoding& encoding);
  Work work_on(const Encoding::Column& column) const;
  void check_cells(const Work& work, const Encoding::Column& column) const;
  void check_numbers(const Work& work, const Encoding::Column& column) const;
  void check_levels(const Work& work, const Encoding::Column& column) const;
  void check_width(const Encoding& encoding) const;
  void encode_cells(std::span<const float> cells, float* out) const;
  void encode_sparse(const SparseRow& row, float* out) const;

  Table table_;
  Affine affine_;
  Index width_;
  std::vector<Work> work_;  ///< empty: a row's numbers are its features
  bool sparse_ = false;
};

/// Each row's target as the loss takes it: a class's number, or the number itself, normalised.
/// `required` false: a target that is absent or unknown becomes 0. Throws Error(Kind::data).
std::vector<float> encode_targets(const Table& table, const Encoding& encoding, bool required);

/// What test rows must have: the columns of the encoding, as the kinds that they are.
Schema schema_of(const Encoding& encoding, bool target_required);

}  // namespace dtrain::data
