#pragma once
/// The rows of a CSV text (unpacked) as a table: a column is of numbers, or of texts, which become levels.

#include <string>
#include <string_view>

#include "data/schema.hpp"
#include "data/table.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// Reads what data.csv and data.columns say; with a schema the columns that it names, as the kinds that it names.
/// Throws Error(Kind::data) with file, line and column.
Table parse_csv(std::string_view text, const Origin::File& file, const std::string& folder, const job::Data& data,
                const Schema* schema);

}  // namespace dtrain::data
