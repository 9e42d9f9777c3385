#pragma once
/// From the files that a job names to a table: the one place that knows all formats.

#include "data/data.hpp"
#include "data/schema.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// `schema` null: these are training rows, whose columns are taken as they are. Throws Error(Kind::data).
Table read_files(const job::Data& data, const job::Files& files, const Schema* schema);

}  // namespace dtrain::data
