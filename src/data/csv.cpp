#include "data/csv.hpp"

namespace dtrain::data {

CsvReader::CsvReader(std::string_view text, const std::string& file, char delimiter)
    : text_(text), file_(file), delimiter_(delimiter) {
  if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
}

bool CsvReader::is_blank(char c) const { return (c == ' ' || c == '\t' || c == '\r') && c != delimiter_; }

bool CsvReader::ends_field(char c) const {
  return c == '\n' || c == delimiter_ || (delimiter_ == blanks && is_blank(c));
}

void CsvReader::skip_blanks() {
  while (!at_end() && is_blank(text_[at_])) ++at_;
}

/// Leaves at_ at the start of the next line that holds anything; false if there is none.
bool CsvReader::skip_empty_lines() {
  for (;;) {
    const std::size_t start = at_;
    skip_blanks();
    if (at_end()) return false;
    if (text_[at_] != '\n') {
      at_ = start;
      return true;
    }
    line_start_ = ++at_;
    ++line_;
  }
}

Place CsvReader::here() const { return {file_, line_, static_cast<int>(at_ - line_start_) + 1}; }

bool CsvReader::next(std::vector<Field>& fields) {
  fields.clear();
  unescaped_.clear();
  if (!skip_empty_lines()) return false;
  do fields.push_back(read_field());
  while (!end_record());
  return true;
}

bool CsvReader::skip() { return next(skipped_); }

/// Reads one field and the blanks after it; leaves at_ at what ended it.
Field CsvReader::read_field() {
  skip_blanks();
  if (!at_end() && text_[at_] == '"') return read_quoted();
  const std::size_t start = at_;
  const int column = here().column;
  while (!at_end() && !ends_field(text_[at_])) ++at_;
  std::size_t end = at_;
  while (end > start && is_blank(text_[end - 1])) --end;
  skip_blanks();
  return {text_.substr(start, end - start), line_, column};
}

Field CsvReader::read_quoted() {
  const Place opened = here();
  const std::size_t start = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_end()) throw Error(Kind::data, opened, "this quote is never closed");
    if (text_[at_] == '\n') ++line_, line_start_ = at_ + 1;
    if (text_[at_] != '"') continue;
    if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
    doubled = true;
    ++at_;
  }
  std::string_view inside = text_.substr(start, at_ - start);
  ++at_;
  const bool glued = !at_end() && !ends_field(text_[at_]) && !is_blank(text_[at_]);
  skip_blanks();
  if (glued || (delimiter_ != blanks && !at_end() && !ends_field(text_[at_])))
    throw Error(Kind::data, here(), "text after a closing quote; a quote inside quotes is doubled");
  if (!doubled) return {inside, opened.line, opened.column};
  std::string& text = unescaped_.emplace_back();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    text += inside[i];
    if (inside[i] == '"') ++i;
  }
  return {text, opened.line, opened.column};
}

/// After a field: true at the end of the record (past its line end), else past the delimiter.
bool CsvReader::end_record() {
  if (at_end()) return true;
  if (text_[at_] == '\n') {
    line_start_ = ++at_;
    ++line_;
    return true;
  }
  if (delimiter_ != blanks) ++at_;
  return false;
}

char delimiter_of(const job::Csv& csv) {
  if (csv.delimiter == "tab" || csv.delimiter == "\\t") return '\t';
  if (csv.delimiter == "space" || csv.delimiter == " ") return CsvReader::blanks;
  if (csv.delimiter.size() == 1 && csv.delimiter != "\n" && csv.delimiter != "\"" && csv.delimiter != "\r")
    return csv.delimiter[0];
  fail(Kind::job, "data.csv.delimiter must be one character, \"tab\" or \"space\", got \"{}\"", csv.delimiter);
}

}  // namespace dtrain::data
