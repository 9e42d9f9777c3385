#include <cmath>

#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

constexpr const char* number_pattern = "^[+-]?[0-9.]+([eE][+-]?[0-9]+)?(/[+-]?[0-9.]+([eE][+-]?[0-9]+)?)?$";

std::string length_pattern(const std::string& units) {
  return "^[0-9.]+([eE][+-]?[0-9]+)?(/[0-9.]+)? *(" + units + ")$";
}

Json open_map() { return {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}}; }

void add_bounds(const Bounds& bounds, Json& to) {
  if (std::isfinite(bounds.low)) to[bounds.low_open ? "exclusiveMinimum" : "minimum"] = bounds.low;
  if (std::isfinite(bounds.high)) to[bounds.high_open ? "exclusiveMaximum" : "maximum"] = bounds.high;
}

Json integer_schema(const Bounds& bounds) {
  Json schema{{"type", "integer"}};
  if (std::isfinite(bounds.low)) schema["minimum"] = static_cast<std::int64_t>(bounds.low);
  if (std::isfinite(bounds.high)) schema["maximum"] = static_cast<std::int64_t>(bounds.high);
  return schema;
}

Json any_of(Json first, Json second) { return {{"anyOf", Json::array({std::move(first), std::move(second)})}}; }

Json length_schema(const Key& key) {
  if (key.shape == Shape::time) {
    Json time{{"type", "string"}, {"pattern", length_pattern("ms|s|min|h")}};
    return key.bounds.low_open ? time : any_of({{"const", 0}}, std::move(time));
  }
  const bool time_too = key.info.unit.find("min") != std::string::npos;
  const Json text{{"type", "string"},
                  {"pattern", length_pattern(time_too ? "steps?|epochs?|ms|s|min|h" : "steps?|epochs?")}};
  return any_of({{"const", 0}}, text);
}

Json number_schema(const Key& key) {
  Json number{{"type", "number"}};
  add_bounds(key.bounds, number);
  return any_of(std::move(number), {{"type", "string"}, {"pattern", number_pattern}});
}

Json shape_schema(const Key& key) {
  switch (key.shape) {
    case Shape::map: return open_map();
    case Shape::map_or_path: return any_of({{"type", "string"}}, open_map());
    case Shape::map_or_word: return any_of({{"enum", key.info.choices}}, open_map());
    case Shape::list_of_maps: return {{"type", "array"}, {"minItems", key.required() ? 1 : 0}, {"items", open_map()}};
    case Shape::list_of_text:
      if (!key.info.choices.empty()) return {{"type", "array"}, {"items", {{"enum", key.info.choices}}}};
      return {{"type", "array"}, {"items", {{"type", Json::array({"string", "number"})}}}};
    case Shape::text: return {{"type", Json::array({"string", "number"})}};
    case Shape::path:
    case Shape::distribution: return {{"type", "string"}};
    case Shape::choice: return {{"enum", key.info.choices}};
    case Shape::boolean: return {{"type", "boolean"}};
    case Shape::auto_boolean: return any_of({{"const", "auto"}}, {{"type", "boolean"}});
    case Shape::integer: return integer_schema(key.bounds);
    case Shape::auto_integer: return any_of({{"const", "auto"}}, integer_schema(key.bounds));
    case Shape::number: return number_schema(key);
    case Shape::auto_number: return any_of({{"const", "auto"}}, number_schema(key));
    case Shape::length:
    case Shape::time: return length_schema(key);
    case Shape::rate: return any_of({{"const", 0}}, {{"type", "string"}, {"pattern", length_pattern("[kMG]?bit/s")}});
    case Shape::bytes: return any_of({{"const", 0}}, {{"type", "string"}, {"pattern", length_pattern("[KMG]iB")}});
  }
  return Json::object();
}

Json texts_of(const Node& list) {
  Json texts = Json::array();
  for (const Entry& entry : list.entries) texts.push_back(entry.value.text);
  return texts;
}

/// The default as an editor would write it; null where there is none to show.
Json default_of(const Key& key) {
  const std::string& text = key.info.default_text;
  if (key.required() || text.empty()) return nullptr;
  switch (key.shape) {
    case Shape::boolean: return text == "true";
    case Shape::integer: return parse_integer(text).value_or(0);
    case Shape::number: return parse_number(text).value_or(0);
    case Shape::time:
    case Shape::rate:
    case Shape::bytes:
    case Shape::length: return text == "0" ? Json(0) : Json(text);
    case Shape::list_of_maps: return Json::array();
    case Shape::list_of_text: return texts_of(default_node(key));
    default: return text;
  }
}

/// The object that holds the keys of a map.
Json& object_at(Json& root, const std::string& path) {
  Json* here = &root;
  if (path.empty()) return root;
  for (std::string part : split(path, '.')) {
    const bool entries = part.size() > 2 && part.substr(part.size() - 2) == "[]";
    if (entries) part.resize(part.size() - 2);
    here = &(*here)["properties"][part];
    if (entries) here = &(*here)["items"];
    if (here->contains("anyOf")) here = &(*here)["anyOf"][1];
  }
  return *here;
}

}  // namespace

Json schema() {
  Json root{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "dtrain job"}};
  root.update(open_map());
  for (const Key& key : table()) {
    Json entry = shape_schema(key);
    entry["description"] = key.info.help;
    if (Json value = default_of(key); !value.is_null()) entry["default"] = std::move(value);
    Json& parent = object_at(root, parent_of(key.info.path));
    if (key.required()) parent["required"].push_back(name_of(key.info.path));
    parent["properties"][name_of(key.info.path)] = std::move(entry);
  }
  return root;
}

}  // namespace dtrain::job
