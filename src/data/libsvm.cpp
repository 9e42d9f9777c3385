#include "data/libsvm.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

constexpr Index highest_index = std::numeric_limits<std::int32_t>::max();

/// Walks the text token by token; knows the place of the last one.
class Parser {
 public:
  Parser(std::string_view text, std::string file, const IndexLimit& limit)
      : text_(text), file_(std::move(file)), limit_(limit) {
    rows_.begins.push_back(0);
  }

  TableContent parse() {
    for (std::uint32_t line = 1; at_ < text_.size(); ++line) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      line_ = text_.substr(at_, end - at_);
      line_number_ = line;
      column_ = 0;
      line_ = line_.substr(0, line_.find('#'));
      parse_line();
      at_ = end + 1;
    }
    rows_.width = limit_.highest > 0 ? limit_.highest : highest_;
    rows_.rows = std::ssize(rows_.lines);
    return std::move(rows_);
  }

 private:
  /// The next run of non-blanks of the line; empty at its end.
  std::string_view token() {
    constexpr std::string_view blanks = " \t\r";
    column_ = std::min(line_.find_first_not_of(blanks, column_), line_.size());
    const std::size_t end = std::min(line_.find_first_of(blanks, column_), line_.size());
    const std::string_view found = line_.substr(column_, end - column_);
    token_column_ = column_;
    column_ = end;
    return found;
  }

  void parse_line() {
    std::string_view next = token();
    if (next.empty()) return;
    double label = std::nan("");
    if (next.find(':') == next.npos) {
      const Number number = read_number(next);
      if (number.kind != Number::finite) wrong("label '{}' is not a finite number", next);
      label = number.value;
      next = token();
    }
    previous_ = 0;
    for (; !next.empty(); next = token()) parse_entry(next);
    rows_.targets.push_back(label);
    rows_.lines.push_back(line_number_);
    rows_.begins.push_back(rows_.values.size());
  }

  void parse_entry(std::string_view entry) {
    const std::size_t colon = entry.find(':');
    Index index = 0;
    const char* end = entry.data() + std::min(colon, entry.size());
    const auto [stop, code] = std::from_chars(entry.data(), end, index);
    if (colon == entry.npos || stop != end || code != std::errc()) wrong("'{}' is not index:value", entry);
    check_index(index);
    previous_ = index;
    const std::string_view text = entry.substr(colon + 1);
    const Number number = read_number(text);
    const auto value = static_cast<float>(number.value);
    if (number.kind != Number::finite || !std::isfinite(value)) wrong("value '{}' is not a finite number", text);
    highest_ = std::max(highest_, index);
    if (value == 0) return;
    rows_.indices.push_back(static_cast<std::uint32_t>(index - 1));
    rows_.values.push_back(value);
  }

  void check_index(Index index) const {
    if (index < 1) wrong("index {}: indices start at 1", index);
    if (index <= previous_) wrong("index {} after {}: indices must ascend", index, previous_);
    if (limit_.highest > 0 && index > limit_.highest) wrong("index {} is beyond {}", index, limit_.reason);
    if (index > highest_index) wrong("index {} is beyond the highest possible, {}", index, highest_index);
  }

  template <class... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Kind::data, {file_, static_cast<int>(line_number_), static_cast<int>(token_column_) + 1},
                fmt::format(text, std::forward<Args>(args)...));
  }

  std::string_view text_;
  std::string file_;
  const IndexLimit& limit_;
  TableContent rows_;
  std::size_t at_ = 0;
  std::string_view line_;
  std::size_t column_ = 0, token_column_ = 0;
  std::uint32_t line_number_ = 0;
  Index previous_ = 0, highest_ = 0;
};

}  // namespace

Table parse_libsvm(std::string_view text, const Origin::File& file, const std::string& folder,
                   const IndexLimit& limit) {
  Origin origin;
  origin.form = Origin::Form::libsvm;
  origin.folder = folder;
  origin.files = {file};
  const std::string path = origin.path(file.name);
  TableContent content = Parser(text, path, limit).parse();
  if (content.rows == 0) throw Error(Kind::data, {path, 0, 0}, "there are no rows in it");
  if (content.width == 0) throw Error(Kind::data, {path, 0, 0}, "no row has any feature");
  content.kind = Table::Kind::sparse;
  content.target.emplace();
  content.origin = std::move(origin);
  content.hash = fast_hash(bytes_of(text));
  return Table(std::move(content));
}

}  // namespace dtrain::data
