#include "data/csv_cut.hpp"

#include <algorithm>

#include "data/csv.hpp"

namespace dtrain::data {
namespace {

std::size_t past_line(std::string_view text, std::size_t from) {
  const std::size_t end = text.find('\n', from);
  return end == text.npos ? text.size() : end + 1;
}

/// Past the closing quote of the field that opens at `at`.
std::size_t past_quoted(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] != '"') continue;
    if (at + 1 == text.size() || text[at + 1] != '"') return at + 1;
    ++at;
  }
  return text.size();
}

/// Past the record that begins at `at`: only a quote that begins a field hides line ends.
std::size_t past_record(std::string_view text, std::size_t at, char delimiter) {
  const auto is_blank = [&](char c) { return (c == ' ' || c == '\t' || c == '\r') && c != delimiter; };
  const bool runs = delimiter == CsvReader::blanks;
  for (bool begins = true; at < text.size(); ++at) {
    if (begins && text[at] == '"') {
      at = past_quoted(text, at);
      begins = false;
      if (at >= text.size()) break;
    }
    if (text[at] == '\n') return at + 1;
    begins = is_blank(text[at]) ? begins || runs : text[at] == delimiter;
  }
  return text.size();
}

/// The first border of records at or after `target`, given one at `at`.
std::size_t border_after(std::string_view text, std::size_t at, std::size_t target, char delimiter) {
  const std::size_t line_end = past_line(text, target);
  while (at < target) {
    const std::size_t quote = text.substr(0, line_end).find('"', at);
    if (quote == text.npos) return line_end;
    const std::size_t before = text.rfind('\n', quote);
    at = past_record(text, before == text.npos ? at : std::max(at, before + 1), delimiter);
  }
  return at;
}

}  // namespace

std::vector<std::string_view> cut_records(std::string_view text, char delimiter, std::size_t part_bytes) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t target = begin + part_bytes;
    const std::size_t end = target >= text.size() ? text.size() : border_after(text, begin, target, delimiter);
    parts.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

std::vector<std::string_view> cut_lines(std::string_view text, std::size_t part_bytes) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = past_line(text, std::min(begin + part_bytes, text.size()) - 1);
    parts.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return parts;
}

}  // namespace dtrain::data
