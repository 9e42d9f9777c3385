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

[[noreturn]] void wrong(const std::string& what) { fail(Kind::checkpoint, "the data's encoding: {}", what); }

job::Format format_of(const std::string& name) {
  for (const auto& [format, known] : formats)
    if (name == known) return format;
  wrong("unknown format '" + name + "'");
}

const char* name_of(job::Format format) {
  for (const auto& [known, name] : formats)
    if (format == known) return name;
  return "";
}

Encoding read(const Json& json) {
  Encoding e;
  e.format = format_of(json.at("format").get<std::string>());
  for (const Json& column : json.at("columns")) {
    e.columns.push_back(
        {column.at("name").get<std::string>(), column.at("levels").get<std::vector<std::string>>(), {}});
    if (!column.at("fill").is_null()) e.columns.back().fill = column.at("fill").get<double>();
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
    features += std::max<Index>(1, std::ssize(column.levels));
    if (!std::isfinite(column.fill.value_or(0))) wrong("fill must be finite");
  }
  if (!e.columns.empty() && features != e.width) wrong("the columns do not add up to the width");
}

}  // namespace

Json Encoding::to_json() const {
  Json json;
  json["format"] = name_of(format);
  json["width"] = width;
  json["target"] = target_name;
  json["classes"] = classes;
  json["columns"] = Json::array();
  for (const Column& column : columns) {
    json["columns"].push_back({{"name", column.name}, {"levels", column.levels}, {"fill", nullptr}});
    if (column.fill) json["columns"].back()["fill"] = *column.fill;
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
