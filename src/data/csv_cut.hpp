#pragma once
/// Where a CSV text can be cut so that no record is in two parts.

#include <string_view>
#include <vector>

namespace dtrain::data {

/// Parts of about `part_bytes` each, in order, that together are the text. `text` starts with a record; a line end
/// inside quotes is no border.
std::vector<std::string_view> cut_records(std::string_view text, char delimiter, std::size_t part_bytes);

/// The same for text whose every line is a record.
std::vector<std::string_view> cut_lines(std::string_view text, std::size_t part_bytes);

}  // namespace dtrain::data
