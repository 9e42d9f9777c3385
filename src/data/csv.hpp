#pragma once
/// CSV text, record by record (RFC 4180, and what files in the wild add to it).
///
/// Fields are separated by one character, or by runs of blanks. A field that starts with a quote runs to the closing
/// one, a doubled quote inside is one quote, and it may hold separators and line ends. Other fields lose the blanks
/// round them. Line ends are LF or CRLF; a byte order mark is skipped, and so are empty lines.

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// One field of a record. Valid until the next record is read.
struct Field {
  std::string_view text;
  int line = 0;    ///< from 1
  int column = 0;  ///< of its first byte, from 1
};

class CsvReader {
 public:
  static constexpr char blanks = '\n';  ///< as delimiter: runs of blanks

  /// `text` and `file` must outlive the reader.
  CsvReader(std::string_view text, const std::string& file, char delimiter);
  /// Reads the next record into `fields`; false at the end. Throws on a quote that is not closed or goes on after.
  bool next(std::vector<Field>& fields);
  /// Skips a record; false at the end.
  bool skip();
  /// Up to the end of the last record, the byte order mark left out.
  std::size_t bytes_read() const { return at_; }
  int lines_read() const { return line_ - 1; }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  bool is_blank(char c) const;
  bool ends_field(char c) const;
  void skip_blanks();
  bool skip_empty_lines();
  Field read_field();
  Field read_quoted();
  bool end_record();
  Place here() const;

  std::string_view text_;
  const std::string& file_;
  char delimiter_;
  std::size_t at_ = 0, line_start_ = 0;
  int line_ = 1;
  std::vector<Field> skipped_;
  std::deque<std::string> unescaped_;  ///< fields of this record that held doubled quotes
};

/// ',' for ",", '\t' for "tab", CsvReader::blanks for "space", else the one character. Throws Error(Kind::job).
char delimiter_of(const job::Csv& csv);

}  // namespace dtrain::data
