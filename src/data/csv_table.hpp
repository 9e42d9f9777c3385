#pragma once
/// The rows of CSV texts as a table: a column is of numbers, or of texts, which become levels.

#include <vector>

#include "data/schema.hpp"
#include "data/table.hpp"
#include "data/text_files.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// Reads what data.csv, data.columns and data.skip_bad_rows say; with a schema the columns that it names, as the kinds
/// that it names. Headers of several files must agree. Throws Error(Kind::data) with file, line and column.
/// `numeric_target`: a row whose target is no number cannot be used.
Table parse_csv(const std::vector<TextFile>& files, const std::string& folder, const job::Data& data,
                const Schema* schema, bool numeric_target = false, const Cutting& cutting = {});

}  // namespace dtrain::data
