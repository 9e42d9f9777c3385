// An Encoding as JSON, and back.

#include <array>
#include <cmath>
#include <utility>

#include "base/error.hpp"
#include "data/data.hpp"

namespace dtrain::data {
namespace {

constexpr std::array<std::pair<job::Format, const char*>, 7> formats{{{job::Format::idx, "idx"},
                                                                      {job::Format::npy, "npy"},
                                                                      {job::Format::csv, "csv"},
                                                                      {job::Format::tsv, "tsv"},
                                                                      {job::Format::libsvm, "libsvm"},
                                                                      {job::Format::mapped, "mapped"},
                                                                      {job::Format::generated, "generated"}}};

constexpr std::array<std::pair<job::ColumnAs, const char*>, 4> kinds{{{job::ColumnAs::number, "number"},
                                                                      {job::ColumnAs::category, "category"},
                                                                      {job::ColumnAs::hash, "hash"},
                                                                      {job::ColumnAs::date, "date"}}};
constexpr std::array<std::pair<job::DatePart, const char*>, 8> date_parts{{{job::DatePart::year, "year"},
                                                                           {job::DatePart::month, "month"},
                                                                           {job::DatePart::day, "day"},
                                                                           {job::DatePart::weekday, "weekday"},
                                                                           {job::DatePart::hour, "hour"},
                                                                           {job::DatePart::minute, "minute"},
                                                                           {job::DatePart::day_of_year, "day_of_year"},
                                                                           {job::DatePart::days, "days"}}};
constexpr std::array<std::pair<job::Logarithm, const char*>, 3> logarithms{
    {{job::Logarithm::none, "none"}, {job::Logarithm::log, "log"}, {job::Logarithm::log1p, "log1p"}}};
/// 1: numbers and categories only. 2: what data.columns can say.
constexpr int newest_version = 2;

[[noreturn]] void wrong(const std::string& what) { fail(Kind::checkpoint, "the data's encoding: {}", what); }

template <class E, std::size_t n>
const char* word_of(const std::array<std::pair<E, const char*>, n>& words, E value) {
  for (const auto& [known, word] : words)
    if (known == value) return word;
  return "";
}

template <class E, std::size_t n>
E from_word(const std::array<std::pair<E, const char*>, n>& words, const std::string& word) {
  for (const auto& [value, known] : words)
    if (word == known) return value;
  wrong("unknown word '" + word + "'");
}

/// What models of the first version do not say of a column: numbers, and categories with a level for missing ones.
void read_steps(const Json& json, Encoding::Column& column) {
  column.as = column.levels.empty() ? job::ColumnAs::number : job::ColumnAs::category;
  if (json.contains("as")) column.as = from_word(kinds, json.at("as").get<std::string>());
  column.required = json.value("required", false);
  column.buckets = json.value("buckets", Index{0});
  for (const Json& part : json.value("parts", Json::array()))
    column.parts.push_back(from_word(date_parts, part.get<std::string>()));
  column.part_fills = json.value("part_fills", std::vector<double>{});
  if (json.contains("clip_low")) column.steps.low = json.at("clip_low").get<double>();
  if (json.contains("clip_high")) column.steps.high = json.at("clip_high").get<double>();
  column.steps.log = from_word(logarithms, json.value("log", std::string("none")));
  column.steps.scale = json.value("scale", 1.0);
}

/// Only what differs from the first version, so that older programs read what they understand.
void write_steps(const Encoding::Column& column, Json& json) {
  const bool plain = column.as == (column.levels.empty() ? job::ColumnAs::number : job::ColumnAs::category);
  if (!plain) json["as"] = word_of(kinds, column.as);
  if (column.required) json["required"] = true;
  if (column.buckets > 0) json["buckets"] = column.buckets;
  for (const job::DatePart part : column.parts) json["parts"].push_back(word_of(date_parts, part));
  if (!column.part_fills.empty()) json["part_fills"] = column.part_fills;
  if (column.steps.low) json["clip_low"] = *column.steps.low;
  if (column.steps.high) json["clip_high"] = *column.steps.high;
  if (column.steps.log != job::Logarithm::none) json["log"] = word_of(logarithms, column.steps.log);
  if (column.steps.scale != 1) json["scale"] = column.steps.scale;
}

Encoding read(const Json& json) {
  Encoding e;
  if (json.value("version", 1) > newest_version) wrong("it was written by a newer dtrain");
  e.format = from_word(formats, json.at("format").get<std::string>());
  for (const Json& column : json.at("columns")) {
    Encoding::Column& read = e.columns.emplace_back();
    read.name = column.at("name").get<std::string>();
    read.levels = column.at("levels").get<std::vector<std::string>>();
    if (!column.at("fill").is_null()) read.fill = column.at("fill").get<double>();
    read_steps(column, read);
  }
  e.target_name = json.at("target").get<std::string>();
  e.classes = json.at("classes").get<std::vector<std::string>>();
  e.width = json.at("width").get<Index>();
  e.shift = json.at("shift").get<std::vector<float>>();
  e.scale = json.at("scale").get<std::vector<float>>();
  e.target_shift = json.at("target_shift").get<double>();
  e.target_scale = json.at("target_scale").get<double>();
  return e;
}

template <class Real>
bool all_finite(const std::vector<Real>& values) {
  for (const Real value : values)
    if (!std::isfinite(value)) return false;
  return true;
}

void validate(const Encoding::Column& column) {
  if (!std::isfinite(column.fill.value_or(0)) || !all_finite(column.part_fills)) wrong("fill must be finite");
  if (!column.part_fills.empty() && column.part_fills.size() != column.parts.size()) wrong("a date has a fill a part");
  const NumberSteps& steps = column.steps;
  if (!std::isfinite(steps.low.value_or(0)) || !std::isfinite(steps.high.value_or(0)) || !std::isfinite(steps.scale))
    wrong("bounds and scale of a column must be finite");
  constexpr Index most = 1'000'000'000;
  if (column.as == job::ColumnAs::hash && (column.buckets < 1 || column.buckets > most))
    wrong("a hash needs at least one bucket, and not too many");
  if (column.as == job::ColumnAs::date && column.parts.empty()) wrong("a date needs parts");
  if (column.as == job::ColumnAs::number && !column.levels.empty()) wrong("numbers have no levels");
}

void validate(const Encoding& e) {
  if (e.width < 1) wrong("width must be at least 1");
  const auto width = static_cast<std::size_t>(e.width);
  if (e.shift.size() != e.scale.size() || (e.shift.size() != 1 && e.shift.size() != width))
    wrong("shift and scale need one number each, or one a feature");
  if (!all_finite(e.shift) || !all_finite(e.scale)) wrong("shift and scale must be finite");
  if (!std::isfinite(e.target_shift) || !std::isfinite(e.target_scale) || e.target_scale == 0)
    wrong("target_shift and target_scale must be finite, and the scale not 0");
  const bool named = e.format == job::Format::csv || e.format == job::Format::tsv;
  if (e.format != job::Format::mapped && named == e.columns.empty()) wrong("csv has columns, and nothing else has");
  Index features = 0;
  for (const Encoding::Column& column : e.columns) {
    validate(column);
    features += column.features();
  }
  if (!e.columns.empty() && features != e.width) wrong("the columns do not add up to the width");
}

}  // namespace

Index Encoding::Column::features() const {
  switch (as) {
    case job::ColumnAs::hash: return buckets;
    case job::ColumnAs::date: return std::ssize(parts);
    case job::ColumnAs::category: return std::max<Index>(1, std::ssize(levels));
    default: return 1;
  }
}

Json Encoding::to_json() const {
  Json json;
  json["version"] = newest_version;
  json["format"] = word_of(formats, format);
  json["width"] = width;
  json["target"] = target_name;
  json["classes"] = classes;
  json["columns"] = Json::array();
  for (const Column& column : columns) {
    json["columns"].push_back({{"name", column.name}, {"levels", column.levels}, {"fill", nullptr}});
    if (column.fill) json["columns"].back()["fill"] = *column.fill;
    write_steps(column, json["columns"].back());
  }
  json["target_shift"] = target_shift;
  json["target_scale"] = target_scale;
  json["shift"] = shift;
  json["scale"] = scale;
  return json;
}

Encoding Encoding::from_json(const Json& json) {
  Encoding encoding;
  try {
    encoding = read(json);
  } catch (const Json::exception& error) {
    wrong(error.what());
  }
  validate(encoding);
  return encoding;
}

}  // namespace dtrain::data
