#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/columns.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/catalogue.hpp"

namespace dtrain::cli {
namespace {

using job::KeyInfo;

/// "model.layers[].dense" as a person types it: "model.layers.dense".
std::string plain(std::string path) {
  for (std::size_t at = path.find("[]"); at != std::string::npos; at = path.find("[]")) path.erase(at, 2);
  return path;
}

/// The key itself, if there is one, and all below it; "": every key.
std::vector<const KeyInfo*> keys_of(const std::string& wanted) {
  std::vector<const KeyInfo*> found;
  for (const KeyInfo& key : job::keys()) {
    const std::string path = plain(key.path);
    if (wanted.empty() || path == wanted || path.rfind(wanted + ".", 0) == 0) found.push_back(&key);
  }
  return found;
}

/// Keys whose last part was typed alone, or the nearest path.
std::string suggestion(const std::string& wanted) {
  std::vector<std::string> ends, paths;
  for (const KeyInfo& key : job::keys()) {
    const std::string path = plain(key.path);
    if (path.size() > wanted.size() && path.substr(path.size() - wanted.size() - 1) == "." + wanted)
      ends.push_back(path);
    paths.push_back(path);
  }
  if (!ends.empty()) return fmt::format("; did you mean {}?", join(ends, " or "));
  const auto near = nearest(wanted, paths);
  return near ? fmt::format("; did you mean {}?", *near) : "";
}

std::string facts(const KeyInfo& key) {
  const std::pair<const char*, std::string> rows[] = {{"type", key.type},
                                                      {"one of", join(key.choices, ", ")},
                                                      {"range", key.range},
                                                      {"unit", key.unit},
                                                      {"default", key.default_text}};
  std::string text;
  for (const auto& [name, value] : rows)
    if (!value.empty()) text += entry(name, 7, value);
  return text;
}

std::string one_key(const KeyInfo& key) {
  return fmt::format("{}\n  {}\n\n{}", key.path, wrap(key.help, page_width - 2, 2), facts(key));
}

std::string list(const std::vector<const KeyInfo*>& keys) {
  std::string text;
  for (const KeyInfo* key : keys) {
    const bool known = !key->default_text.empty() && key->default_text != "(required)";
    const std::string value = known ? " Default: " + key->default_text + "." : "";
    text += entry(key->path, 30, key->help + value);
  }
  return text;
}

Json to_json(const KeyInfo& key) {
  return {{"key", key.path},  {"type", key.type},       {"range", key.range},
          {"unit", key.unit}, {"choices", key.choices}, {"default", key.default_text},
          {"help", key.help}};
}

}  // namespace

int explain(const Options& options) {
  const std::string wanted = plain(options.key);
  const auto found = keys_of(wanted);
  if (found.empty())
    fail(Kind::usage, "no key '{}'{} (dtrain explain lists them all)", options.key, suggestion(wanted));
  if (options.json) {
    Json all = Json::array();
    for (const KeyInfo* key : found) all.push_back(to_json(*key));
    print_json(all);
  } else {
    print(found.size() == 1 ? one_key(*found.front()) : list(found));
  }
  return 0;
}

}  // namespace dtrain::cli
