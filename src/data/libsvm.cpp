#include "data/libsvm.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "data/labels.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

constexpr Index highest_index = std::numeric_limits<std::int32_t>::max();

/// Walks the text token by token; knows the place of the last one.
class Parser {
 public:
  Parser(std::string_view text, const std::string& file, Index limit, const std::string& limit_reason)
      : text_(text), file_(file), limit_(limit), limit_reason_(limit_reason) {}

  LibsvmRows parse() {
    for (std::uint32_t line = 1; at_ < text_.size(); ++line) {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      line_ = text_.substr(at_, end - at_);
      line_number_ = line;
      column_ = 0;
      line_ = line_.substr(0, line_.find('#'));
      parse_line();
      at_ = end + 1;
    }
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
    rows_.labels.push_back(label);
    rows_.lines.push_back(line_number_);
    rows_.features.begins.push_back(rows_.features.values.size());
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
    rows_.highest = std::max(rows_.highest, index);
    if (value == 0) return;
    rows_.features.indices.push_back(static_cast<std::uint32_t>(index - 1));
    rows_.features.values.push_back(value);
  }

  void check_index(Index index) const {
    if (index < 1) wrong("index {}: indices start at 1", index);
    if (index <= previous_) wrong("index {} after {}: indices must ascend", index, previous_);
    if (limit_ > 0 && index > limit_) wrong("index {} is beyond {}", index, limit_reason_);
    if (index > highest_index) wrong("index {} is beyond the highest possible, {}", index, highest_index);
  }

  template <class... Args>
  [[noreturn]] void wrong(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Kind::data, {file_, static_cast<int>(line_number_), static_cast<int>(token_column_) + 1},
                fmt::format(text, std::forward<Args>(args)...));
  }

  std::string_view text_;
  const std::string& file_;
  Index limit_;
  const std::string& limit_reason_;
  LibsvmRows rows_;
  std::size_t at_ = 0;
  std::string_view line_;
  std::size_t column_ = 0, token_column_ = 0;
  std::uint32_t line_number_ = 0;
  Index previous_ = 0;
};

class LibsvmSource final : public Source {
 public:
  LibsvmSource(std::string text, std::string file, Index declared_width)
      : text_(std::move(text)), file_(std::move(file)), declared_(declared_width) {
    hash_ = fast_hash(bytes_of(text_));
  }
  std::uint64_t hash() const override { return hash_; }
  Index rows() override {
    parse(declared_, fmt::format("data.libsvm.features = {}", declared_));
    return std::ssize(parsed_->labels);
  }

  Encoding survey(const job::Model& model, std::span<const std::uint32_t>) override {
    rows();
    Encoding encoding;
    encoding.format = job::Format::libsvm;
    encoding.width = declared_ > 0 ? declared_ : parsed_->highest;
    if (encoding.width == 0) throw Error(Kind::data, {file_, 0, 0}, "no row has any feature");
    std::set<double> found;
    for (const double label : parsed_->labels)
      if (!std::isnan(label)) found.insert(label);
    std::set<std::string> names;
    for (const double label : found) names.insert(class_name(label));
    encoding.classes = find_classes(model, names, file_);
    return encoding;
  }

  Decoded decode(const Encoding& encoding, bool labels_required) override {
    parse(encoding.width, fmt::format("the {} features of the training data", encoding.width));
    if (parsed_->highest > encoding.width)
      throw Error(
          Kind::data, {file_, 0, 0},
          fmt::format("index {} is beyond the {} features of the training data", parsed_->highest, encoding.width));
    Decoded decoded;
    const TargetEncoder encode(encoding.classes);
    decoded.targets.reserve(parsed_->labels.size());
    for (std::size_t row = 0; row < parsed_->labels.size(); ++row) {
      const auto target = encode(parsed_->labels[row]);
      if (!target && labels_required) wrong_label(row, encode);
      decoded.targets.push_back(target.value_or(0));
    }
    decoded.features = sparse_storage(std::move(parsed_->features), encoding.width);
    return decoded;
  }

 private:
  void parse(Index limit, const std::string& reason) {
    if (parsed_) return;
    parsed_ = parse_libsvm(text_, file_, limit, reason);
    if (parsed_->labels.empty()) throw Error(Kind::data, {file_, 0, 0}, "there are no rows in it");
    text_ = std::string();
  }

  [[noreturn]] void wrong_label(std::size_t row, const TargetEncoder& encode) const {
    const double label = parsed_->labels[row];
    const std::string what = std::isnan(label) ? "the row has no label, which should be "
                                               : fmt::format("label {} is not ", class_name(label));
    throw Error(Kind::data, {file_, static_cast<int>(parsed_->lines[row]), 1}, what + encode.expected());
  }

  std::string text_, file_;
  Index declared_;
  std::uint64_t hash_ = 0;
  std::optional<LibsvmRows> parsed_;
};

}  // namespace

LibsvmRows parse_libsvm(std::string_view text, const std::string& file, Index limit, const std::string& limit_reason) {
  return Parser(text, file, limit, limit_reason).parse();
}

std::unique_ptr<Source> libsvm_source(std::string text, const std::string& file, Index declared_width) {
  return std::make_unique<LibsvmSource>(std::move(text), file, declared_width);
}

}  // namespace dtrain::data
