#include "data/libsvm.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "data/csv_cut.hpp"
#include "data/number.hpp"
#include "data/parallel.hpp"

namespace dtrain::data {
namespace {

constexpr Index highest_index = std::numeric_limits<std::int32_t>::max();

struct LineFault {
  std::uint32_t line = 0;
  int byte = 0;
  std::string message;
};

/// Some lines' rows; lines are counted from 1 at its start.
struct Part {
  std::vector<std::uint64_t> ends;  ///< of each row, in indices and values
  std::vector<std::uint32_t> indices, lines;
  std::vector<float> values;
  std::vector<double> labels;
  std::vector<LineFault> faults;
  std::uint32_t line_ends = 0;
  Index highest = 0;
};

struct Form {
  const IndexLimit& limit;
  std::size_t most_faults = 0;
  bool needs_label = true;
};

/// Walks lines token by token; knows where the last one is.
class PartReader {
 public:
  PartReader(std::string_view text, const Form& form) : text_(text), form_(form) {}

  Part read() {
    while (!text_.empty() && part_.faults.size() <= form_.most_faults) {
      const std::size_t end = text_.find('\n');
      line_ = text_.substr(0, end);
      text_.remove_prefix(std::min(line_.size() + 1, text_.size()));
      line_ = line_.substr(0, line_.find('#'));
      at_ = 0;
      if (!read_line()) take_back();
      ++part_.line_ends;
    }
    return std::move(part_);
  }

 private:
  /// The next run of non-blanks of the line; empty at its end.
  std::string_view token() {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
    while (at_ < line_.size() && blank(line_[at_])) ++at_;
    token_at_ = at_;
    while (at_ < line_.size() && !blank(line_[at_])) ++at_;
    return line_.substr(token_at_, at_ - token_at_);
  }

  bool read_line() {
    std::string_view next = token();
    if (next.empty()) return true;
    double label = std::nan("");
    if (next.find(':') == next.npos) {
      const Number number = read_number(next);
      if (number.kind != Number::finite) return wrong("label '{}' is not a finite number", next);
      label = number.value;
      next = token();
    } else if (form_.needs_label && form_.most_faults > 0) {
      return wrong("the row has no label");
    }
    previous_ = 0;
    for (; !next.empty(); next = token())
      if (!read_entry(next)) return false;
    part_.labels.push_back(label);
    part_.lines.push_back(part_.line_ends + 1);
    part_.ends.push_back(part_.values.size());
    return true;
  }

  /// What a line that is no row has left.
  void take_back() {
    const std::size_t entries = part_.ends.empty() ? 0 : part_.ends.back();
    part_.indices.resize(entries);
    part_.values.resize(entries);
  }

  bool read_entry(std::string_view entry) {
    const std::size_t colon = entry.find(':');
    Index index = 0;
    const char* end = entry.data() + std::min(colon, entry.size());
    const auto [stop, code] = std::from_chars(entry.data(), end, index);
    if (colon == entry.npos || stop != end || code != std::errc()) return wrong("'{}' is not index:value", entry);
    if (!check_index(index)) return false;
    previous_ = index;
    const std::string_view text = entry.substr(colon + 1);
    const Number number = read_number(text);
    const auto value = static_cast<float>(number.value);
    if (number.kind != Number::finite || !std::isfinite(value)) return wrong("value '{}' is not a finite number", text);
    part_.highest = std::max(part_.highest, index);
    if (value == 0) return true;
    part_.indices.push_back(static_cast<std::uint32_t>(index - 1));
    part_.values.push_back(value);
    return true;
  }

  bool check_index(Index index) {
    const IndexLimit& limit = form_.limit;
    if (index < 1) return wrong("index {}: indices start at 1", index);
    if (index <= previous_) return wrong("index {} after {}: indices must ascend", index, previous_);
    if (limit.highest > 0 && index > limit.highest) return wrong("index {} is beyond {}", index, limit.reason);
    if (index > highest_index) return wrong("index {} is beyond the highest possible, {}", index, highest_index);
    return true;
  }

  template <class... Args>
  bool wrong(fmt::format_string<Args...> text, Args&&... args) {
    part_.faults.push_back(
        {part_.line_ends + 1, static_cast<int>(token_at_) + 1, fmt::format(text, std::forward<Args>(args)...)});
    return false;
  }

  std::string_view text_, line_;
  const Form& form_;
  Part part_;
  std::size_t at_ = 0, token_at_ = 0;
  Index previous_ = 0;
};

class Files {
 public:
  Files(const std::vector<TextFile>& files, const std::string& folder, const Form& form, const Cutting& cutting)
      : files_(files), form_(form), cutting_(cutting) {
    all_.origin = origin_of(Origin::Form::libsvm, folder, files);
    all_.begins.push_back(0);
  }

  Table table() {
    for (std::size_t file = 0; file < files_.size(); ++file) read(file);
    all_.kind = Table::Kind::sparse;
    all_.rows = std::ssize(all_.lines);
    all_.width = form_.limit.highest > 0 ? form_.limit.highest : highest_;
    if (all_.width == 0) throw Error(Kind::data, {path(0), 0, 0}, "no row has any feature");
    all_.target.emplace();
    all_.hash = hash_of(files_);
    return Table(std::move(all_));
  }

 private:
  std::string path(std::size_t file) const { return all_.origin.path(files_[file].name); }

  void read(std::size_t file) {
    all_.origin.files[file].first_row = std::ssize(all_.lines);
    line_ends_ = 0;
    const std::vector<std::string_view> texts = cut_lines(files_[file].text, cutting_.part_bytes);
    const std::size_t threads = cutting_.threads > 0 ? cutting_.threads : usable_cores();
    for (std::size_t first = 0; first < texts.size(); first += threads) {
      std::vector<Part> parts(std::min(threads, texts.size() - first));
      in_parallel(parts.size(), threads, [&](std::size_t i) { parts[i] = PartReader(texts[first + i], form_).read(); });
      for (const Part& part : parts) add(part, file);
    }
    if (std::ssize(all_.lines) == all_.origin.files[file].first_row)
      throw Error(Kind::data, {path(file), 0, 0}, "there are no rows in it");
  }

  void add(const Part& part, std::size_t file) {
    for (const LineFault& fault : part.faults)
      if (static_cast<std::size_t>(++all_.skipped) > form_.most_faults)
        throw Error(Kind::data, {path(file), static_cast<int>(fault.line + line_ends_), fault.byte}, fault.message);
    for (const std::uint64_t end : part.ends) all_.begins.push_back(end + all_.values.size());
    for (const std::uint32_t line : part.lines) all_.lines.push_back(line + line_ends_);
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(all_.indices, part.indices);
    append(all_.values, part.values);
    append(all_.targets, part.labels);
    line_ends_ += part.line_ends;
    highest_ = std::max(highest_, part.highest);
  }

  const std::vector<TextFile>& files_;
  const Form& form_;
  const Cutting& cutting_;
  TableContent all_;
  std::uint32_t line_ends_ = 0;
  Index highest_ = 0;
};

}  // namespace

Table parse_libsvm(const std::vector<TextFile>& files, const std::string& folder, const IndexLimit& limit,
                   std::size_t most_faults, bool needs_label, const Cutting& cutting) {
  const Form form{limit, most_faults, needs_label};
  return Files(files, folder, form, cutting).table();
}

}  // namespace dtrain::data
