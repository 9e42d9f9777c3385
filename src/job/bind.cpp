#include "job/bind.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

std::string joined(const std::string& map, const std::string& name) { return map.empty() ? name : map + "." + name; }

/// Paths of the keys anywhere that are called so, or nearly so.
std::vector<std::string> elsewhere(const std::string& name) {
  constexpr std::size_t longest_name = 64;
  std::vector<std::string> names, paths;
  for (const Key& key : table()) names.push_back(name_of(key.info.path));
  const auto meant = name.size() > longest_name ? std::nullopt : nearest(name, names);
  for (const Key& key : table())
    if (meant && name_of(key.info.path) == *meant) paths.push_back(key.info.path);
  return paths;
}

/// The sibling that a misspelt name probably stands for.
std::optional<std::string> meant_sibling(const std::string& name, const std::string& map) {
  constexpr std::size_t longest_name = 64;
  return name.size() > longest_name ? std::nullopt : nearest(name, children_of(map));
}

class Binder {
 public:
  Binder(Job& job, Given& given, Findings& findings) : job_(job), given_(given), findings_(findings) {}

  /// `map`: path in the catalogue; `shown`: the same with numbers.
  void bind_map(const Node& node, const std::string& map, const std::string& shown, std::size_t layer) {
    if (node.kind == Node::Kind::empty) return;
    if (node.kind != Node::Kind::map) {
      const std::string who = shown.empty() ? "a job" : shown;
      findings_.error(node.spot, fmt::format("{} must be a map of keys, got {}", who, describe(node.kind)));
      given_.broken.insert(shown);
      return;
    }
    for (const Entry& entry : node.entries) bind_entry(entry, map, shown, layer);
  }

  void require(const std::string& path, const std::string& shown, const Spot& spot, const std::string& example) {
    const Key* key = find(path);
    if (!key || given_.spots.count(shown) > 0 || broken(shown)) return;
    given_.broken.insert(shown);
    findings_.error(spot, fmt::format("{} is required, such as {}", shown, example));
  }

 private:
  bool broken(const std::string& shown) const {
    return given_.broken.count(shown) > 0 || given_.broken.count(parent_of(shown)) > 0;
  }

  void bind_entry(const Entry& entry, const std::string& map, const std::string& shown, std::size_t layer) {
    const Key* key = find(joined(map, entry.name));
    if (!key) {
      findings_.error(entry.name_spot, unknown_key(entry.name, map, shown));
      if (const auto meant = meant_sibling(entry.name, map)) given_.broken.insert(joined(shown, *meant));
      return;
    }
    const std::string path = joined(shown, entry.name);
    const bool has_keys = key->shape == Shape::map || key->shape == Shape::map_or_path;
    given_.spots[path] = has_keys ? entry.name_spot : entry.value.spot;
    if (key->shape == Shape::list_of_maps) return bind_layers(entry.value, path);
    if (key->shape == Shape::map_or_path && entry.value.kind == Node::Kind::text)
      return bind_entry({"features", entry.name_spot, entry.value}, key->info.path, path, layer);
    if (has_keys) return bind_map(entry.value, key->info.path, path, layer);
    bind_value(*key, entry.value, path, layer);
  }

  void bind_value(const Key& key, const Node& value, const std::string& path, std::size_t layer) {
    key.set(job_, layer, value, [&](const Node& at, const std::string& message) {
      given_.broken.insert(path);
      findings_.error(at.spot, path + " " + message);
    });
    if (key.shape != Shape::list_of_text) return;
    for (std::size_t i = 0; i < value.entries.size(); ++i)
      given_.spots[fmt::format("{}[{}]", path, i)] = value.entries[i].value.spot;
  }

  void bind_layers(const Node& list, const std::string& path) {
    if (list.kind != Node::Kind::list || list.entries.empty()) {
      const std::string got = list.kind == Node::Kind::list ? "an empty one" : describe(list.kind);
      findings_.error(list.spot,
                      fmt::format("{} must be a list of layers, such as [{{dense: 10}}], got {}", path, got));
      given_.broken.insert(path);
      return;
    }
    for (std::size_t i = 0; i < list.entries.size(); ++i) {
      const Node& node = list.entries[i].value;
      const std::string shown = fmt::format("{}[{}]", path, i);
      job_.model.layers.emplace_back();
      set_layer_defaults(job_, i);
      bind_map(node, path + "[]", shown, i);
      require(path + "[].dense", shown + ".dense", node.spot, "dense: 10");
    }
  }

  Job& job_;
  Given& given_;
  Findings& findings_;
};

}  // namespace

std::string unknown_key(const std::string& name, const std::string& map, const std::string& shown_map) {
  const std::string what =
      fmt::format("unknown key {}{}", in_quotes(name), shown_map.empty() ? "" : " in " + shown_map);
  if (const auto meant = meant_sibling(name, map)) return fmt::format("{}; did you mean '{}'?", what, *meant);
  if (const auto others = elsewhere(name); !others.empty())
    return fmt::format("{}; there is a key {}", what, in_words(others, "and"));
  return fmt::format("{}; the keys here are {}", what, in_words(children_of(map)));
}

void bind(const Node& root, Job& job, Given& given, Findings& findings) {
  set_defaults(job);
  job.model.layers.clear();
  Binder binder(job, given, findings);
  binder.bind_map(root, "", "", 0);
  const auto model = given.spots.find("model");
  if (given.broken.count("") == 0 && given.broken.count("model") == 0)
    binder.require("model.layers", "model.layers", model == given.spots.end() ? Spot{} : model->second,
                   "[{dense: 10}]");
}

}  // namespace dtrain::job
