#pragma once
/// Which entry of data.columns each column of a table has.

#include <vector>

#include "data/table.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// One a column of the table, those without an entry having the defaults. A column is meant by its name, or else by its
/// number in the file. Throws Error(Kind::data) if two entries mean one column, one means the target, or a column's
/// cells are not what the entry says.
std::vector<job::ColumnRule> rules_of(const Table& table, const job::Data& data);

}  // namespace dtrain::data
