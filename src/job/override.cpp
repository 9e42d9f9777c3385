/// `--set path=value`: the path is the catalogue's, with numbers for entries of a list ("model.layers.0.dropout").

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/bind.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

bool is_number(const std::string& part) {
  return !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == std::string::npos;
}

/// The key that a path names, or nullptr after a complaint.
const Key* key_of(const std::vector<std::string>& parts, const Spot& spot, Findings& findings) {
  std::string map, shown;
  for (const std::string& part : parts) {
    const Key* here = find(map);
    if (here && here->shape == Shape::list_of_maps) {
      if (!is_number(part)) {
        findings.error(spot, fmt::format("{} is a list: its entries are {}.0, {}.1 and so on", shown, shown, shown));
        return nullptr;
      }
      map += "[]", shown += "." + part;
      continue;
    }
    const std::string next = map.empty() ? part : map + "." + part;
    if (!find(next)) {
      findings.error(
          spot, here && here->get ? fmt::format("{} has no keys of its own", shown) : unknown_key(part, map, shown));
      return nullptr;
    }
    shown += (shown.empty() ? "" : ".") + part;
    map = next;
  }
  static const Key whole_entry = map_key("", "");
  return map.ends_with("[]") ? &whole_entry : find(map);
}

/// The entry `part` of `node`, made if a map lacks it; nullptr after a complaint.
Node* step_into(Node& node, const std::string& part, const std::string& shown, const Spot& spot, Findings& findings) {
  if (is_number(part)) {
    const std::size_t size = node.kind == Node::Kind::list ? node.entries.size() : 0;
    const auto index = static_cast<std::size_t>(parse_integer(part).value_or(0));
    if (index < size) return &node.entries[index].value;
    findings.error(spot, fmt::format("{} has {} {}, counted from 0", shown, size, size == 1 ? "entry" : "entries"));
    return nullptr;
  }
  if (node.kind == Node::Kind::text && find(shown) && find(shown)->shape == Shape::map_or_path) {
    const Node features = node;
    node = Node{Node::Kind::map, node.spot, "", {{"features", node.spot, features}}};
  } else if (node.kind != Node::Kind::map) {
    node = Node{Node::Kind::map, spot, "", {}};
  }
  if (Entry* entry = find_entry(node, part)) return &entry->value;
  node.entries.push_back({part, spot, Node{Node::Kind::empty, spot, "", {}}});
  return &node.entries.back().value;
}

std::optional<Node> typed_value(const Key& key, const std::string& text, int k, Findings& findings) {
  const bool structured = !key.set || key.shape == Shape::list_of_text || key.shape == Shape::map_or_word;
  const std::string value(trim(text));
  const bool is_quoted = !value.empty() && (value.front() == '"' || value.front() == '\'');
  if (structured || is_quoted) return parse_value(value, k, findings);
  if (const std::size_t bad = find_bad_byte(value); bad != std::string::npos) {
    findings.error({k}, fmt::format("{} must be UTF-8 text without control characters", key.info.path));
    return std::nullopt;
  }
  return value.empty() ? Node{Node::Kind::empty, {k}, "", {}} : text_node(value, {k});
}

}  // namespace

void apply_override(const Override& text, int k, Node& root, Findings& findings) {
  const Spot spot{k};
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return findings.error(spot, "an override is written key=value");
  const std::vector<std::string> parts = split(trim(std::string_view(text).substr(0, equals)), '.');
  const Key* key = key_of(parts, spot, findings);
  if (!key) return;
  const auto value = typed_value(*key, text.substr(equals + 1), k, findings);
  if (!value) return;
  Node* node = &root;
  std::string shown;
  for (const std::string& part : parts) {
    node = step_into(*node, part, shown, spot, findings);
    if (!node) return;
    shown += (shown.empty() ? "" : ".") + part;
  }
  *node = *value;
}

}  // namespace dtrain::job
