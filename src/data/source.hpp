#pragma once
/// Where the rows of one part come from: the seam between the formats and survey() and load().

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/data.hpp"
#include "data/storage.hpp"

namespace dtrain::data {

/// Rows as a format gives them: features not yet normalised, targets as TargetEncoder makes them.
struct Decoded {
  std::unique_ptr<Storage> features;
  std::vector<double> targets;
};

/// One part in memory. Used by one thread, in the order: rows() and survey() where wanted, decode() once, last.
/// Every failure is an Error(Kind::data) with its place.
class Source {
 public:
  virtual ~Source() = default;
  /// At least 1.
  virtual Index rows() = 0;
  /// What the rows mean: columns, width, classes; not yet the normalisation. Levels and means come from the rows in
  /// `training` only (ascending); kinds of columns and class names from all.
  virtual Encoding survey(const job::Model& model, std::span<const std::uint32_t> training) = 0;
  /// `labels_required` false: a label that is absent or unknown becomes 0.
  virtual Decoded decode(const Encoding& encoding, bool labels_required) = 0;
  /// Of the content, whatever it was packed in.
  virtual std::uint64_t hash() const = 0;
};

}  // namespace dtrain::data
