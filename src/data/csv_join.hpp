#pragma once
/// Parts of CSV texts, joined in order. The result does not depend on where the parts were cut.

#include "data/csv_part.hpp"

namespace dtrain::data {

/// Adds the rows of `part` to `all`: a column's kind is then what all rows say, levels are numbered as they first came,
/// and cells that turn out to be of the wrong kind are faults.
void join_parts(CsvPart& all, CsvPart part, const CsvForm& form);

/// Leaves out the rows with faults; returns how many rows before each of `borders` (ascending) are left.
std::vector<Index> drop_faults(CsvPart& all, const CsvForm& form, const std::vector<Index>& borders);

}  // namespace dtrain::data
