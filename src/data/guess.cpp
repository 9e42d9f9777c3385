#include "data/guess.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "data/contents.hpp"
#include "data/csv.hpp"
#include "data/number.hpp"

namespace dtrain::data {
namespace {

bool is_idx(std::string_view bytes) {
  return bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 8 && bytes[2] <= 14 && bytes[3] >= 1 &&
         bytes[3] <= 4;
}

bool is_npy(std::string_view bytes) { return bytes.starts_with("\x93NUMPY") || bytes.starts_with("PK\x03\x04"); }

/// "+1 3:0.5 7:1": a number, then pairs.
bool is_libsvm(std::string_view line) {
  const std::vector<std::string> words = split(std::string(trim(line)), ' ');
  const auto pair = [](const std::string& word) {
    const std::size_t colon = word.find(':');
    return word.empty() || (colon != std::string::npos && parse_integer(word.substr(0, colon)) &&
                            read_number(word.substr(colon + 1)).kind == Number::finite);
  };
  return words.size() > 1 && read_number(words[0]).kind == Number::finite &&
         std::all_of(words.begin() + 1, words.end(), pair);
}

/// The one that cuts the first line into most fields; of equals the first. "" if none cuts it.
std::string delimiter_in(std::string_view line) {
  constexpr std::array<std::pair<char, const char*>, 4> known{{{',', ","}, {'\t', "tab"}, {';', ";"}, {'|', "|"}}};
  std::string best;
  std::ptrdiff_t most = 0;
  for (const auto& [character, name] : known)
    if (const auto count = std::count(line.begin(), line.end(), character); count > most) best = name, most = count;
  return best.empty() && trim(line).find(' ') != std::string_view::npos ? "space" : best;
}

/// A first line without any number names the columns.
bool has_header(std::string_view text, const std::string& file, const job::Csv& csv) {
  CsvReader reader(text, file, delimiter_of(csv));
  std::vector<Field> fields;
  reader.next(fields);
  return std::none_of(fields.begin(), fields.end(),
                      [](const Field& field) { return read_number(field.text).kind != Number::text; });
}

/// Columns that hold numbers and texts: they are texts, and a reader wants to be told.
std::vector<std::string> mixed_columns(std::string_view text, const std::string& file, const job::Csv& csv) {
  CsvReader reader(text, file, delimiter_of(csv));
  std::vector<Field> fields;
  std::vector<std::string> names, mixed;
  std::vector<bool> numbers, texts;
  for (bool first = true; reader.next(fields); first = false) {
    for (std::size_t c = 0; c < fields.size() && (first || c < names.size()); ++c) {
      const std::string_view cell = fields[c].text;
      if (first) names.push_back(csv.header ? std::string(cell) : std::to_string(c + 1));
      if (first && csv.header) continue;
      numbers.resize(names.size()), texts.resize(names.size());
      const auto& missing = csv.missing_values;
      if (std::find(missing.begin(), missing.end(), cell) != missing.end()) continue;
      (read_number(cell).kind == Number::finite ? numbers : texts)[c] = true;
    }
  }
  for (std::size_t c = 0; c < numbers.size(); ++c)
    if (numbers[c] && texts[c]) mixed.push_back(names[c]);
  return mixed;
}

}  // namespace

job::Data guess_data(const std::string& path) {
  const fs::path file = fs::absolute(path).lexically_normal();
  job::Data data;
  data.dir = file.parent_path().string();
  data.train.features = file.filename().string();
  data.csv.target = "last";
  const std::size_t member = path.rfind(".npz:") == path.npos ? 0 : path.size() - path.rfind(".npz:") - 4;
  const Contents contents = read_contents(file.string().substr(0, file.string().size() - member));
  const std::string_view text = contents.bytes();
  const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  if (text.starts_with("dtrnrows")) return data.format = job::Format::mapped, data;
  if (is_idx(text)) return data.format = job::Format::idx, data;
  if (is_npy(text)) return data.format = job::Format::npy, data;
  if (is_libsvm(line)) return data.format = job::Format::libsvm, data;
  const std::string delimiter = delimiter_in(line);
  if (delimiter.empty() || line.find('\0') != std::string_view::npos)
    throw Error(Kind::data, {path, 0, 0}, "this is no CSV, LIBSVM, NPY or IDX file; a job can say what it is");
  data.format = job::Format::csv;
  data.csv.delimiter = delimiter;
  data.csv.header = has_header(text, path, data.csv);
  data.csv.categorical = mixed_columns(text, path, data.csv);
  return data;
}

}  // namespace dtrain::data
