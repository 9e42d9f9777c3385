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
  void bind_map(const Node& node, const std::string& map, const std::string& shown, std::size_t index) {
    if (node.kind == Node::Kind::empty) return;
    if (node.kind != Node::Kind::map) {
      const std::string who = shown.empty() ? "a job" : shown;
      findings_.error(node.spot, fmt::format("{} must be a map of keys, got {}", who, describe(node.kind)));
      given_.broken.insert(shown);
      return;
    }
    for (const Entry& entry : node.entries) bind_entry(entry, map, shown, index);
  }

  void require(const std::string& path, const std::string& shown, const Spot& spot) {
    const Key* key = find(path);
    if (!key || given_.spots.count(shown) > 0 || broken(shown)) return;
    given_.broken.insert(shown);
    findings_.error(spot, fmt::format("{} is required, such as {}", shown, key->example));
  }

 private:
  bool broken(const std::string& shown) const {
    return given_.broken.count(shown) > 0 || given_.broken.count(parent_of(shown)) > 0;
  }

  void bind_entry(const Entry& entry, const std::string& map, const std::string& shown, std::size_t index) {
    const Key* key = find(joined(map, entry.name));
    if (!key) {
      findings_.error(entry.name_spot, unknown_key(entry.name, map, shown));
      if (const auto meant = meant_sibling(entry.name, map)) given_.broken.insert(joined(shown, *meant));
      return;
    }
    const std::string path = joined(shown, entry.name);
    const bool has_keys =
        key->shape == Shape::map || key->shape == Shape::map_or_path || key->shape == Shape::map_or_word;
    given_.spots[path] = has_keys ? entry.name_spot : entry.value.spot;
    if (key->shape == Shape::list_of_maps) return bind_list(*key, entry.value, path);
    if (key->shape == Shape::map_or_path && entry.value.kind == Node::Kind::text)
      return bind_entry({"features", entry.name_spot, entry.value}, key->info.path, path, index);
    if (key->shape == Shape::map_or_word && entry.value.kind != Node::Kind::map)
      return bind_value(*key, entry.value, path, index);
    if (has_keys) return bind_map(entry.value, key->info.path, path, index);
    bind_value(*key, entry.value, path, index);
  }

  void bind_value(const Key& key, const Node& value, const std::string& path, std::size_t index) {
    key.set(job_, index, value, [&](const Node& at, const std::string& message) {
      given_.broken.insert(path);
      findings_.error(at.spot, path + " " + message);
    });
    if (key.shape != Shape::list_of_text) return;
    for (std::size_t i = 0; i < value.entries.size(); ++i)
      given_.spots[fmt::format("{}[{}]", path, i)] = value.entries[i].value.spot;
  }

  /// Entries of which one with all required keys is a whole one.
  void bind_list(const Key& list, const Node& node, const std::string& path) {
    const bool is_list = node.kind == Node::Kind::list;
    if (!is_list || (node.entries.empty() && list.required())) {
      const std::string got = is_list ? "an empty one" : describe(node.kind);
      findings_.error(node.spot, fmt::format("{} must be a list of {}, such as {}, got {}", path,
                                             name_of(list.info.path), list.example, got));
      given_.broken.insert(path);
      return;
    }
    for (std::size_t i = 0; i < node.entries.size(); ++i) {
      list.list.resize(job_, i + 1);
      set_entry_defaults(job_, list.info.path, i);
      bind_list_entry(list, node.entries[i].value, fmt::format("{}[{}]", path, i), i);
    }
  }

  void bind_list_entry(const Key& list, const Node& node, const std::string& shown, std::size_t index) {
    const std::string map = list.info.path + "[]";
    bind_map(node, map, shown, index);
    for (const std::string& child : children_of(map))
      if (find(joined(map, child))->required()) require(joined(map, child), joined(shown, child), node.spot);
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
  for (const Key& key : table())
    if (key.shape == Shape::list_of_maps) key.list.resize(job, 0);
  Binder binder(job, given, findings);
  binder.bind_map(root, "", "", 0);
  const auto model = given.spots.find("model");
  if (given.broken.count("") == 0 && given.broken.count("model") == 0)
    binder.require("model.layers", "model.layers", model == given.spots.end() ? Spot{} : model->second);
}

}  // namespace dtrain::job
