#pragma once
/// YAML as the job reader sees it: text, lists and maps, each with the place of its token, and no guess at a type.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace dtrain::job {

class Findings;

/// A range of bytes in a source: 0 is the job file, k the k-th override.
struct Spot {
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
  int source = 0;
  std::size_t at = nowhere;
  std::size_t length = 0;
};

struct Entry;

struct Node {
  enum class Kind { empty, text, list, map };
  Kind kind = Kind::empty;
  Spot spot;
  std::string text;
  std::vector<Entry> entries;  ///< of a list: unnamed; of a map: every name once, in the order of the source
};

struct Entry {
  std::string name;
  Spot name_spot;
  Node value;
};

inline Node text_node(std::string text, Spot spot = {}) { return {Node::Kind::text, spot, std::move(text), {}}; }

/// "nothing", "text", "a list" or "a map".
const char* describe(Node::Kind kind);

/// The entry of a map with this name, or nullptr.
Entry* find_entry(Node& map, const std::string& name);

/// Parses one document. Syntax errors, keys given twice, further documents, tags, cycles and texts too large or too
/// deep are reported to `findings`; nullopt if no whole tree came out. Aliases are copied in.
std::optional<Node> parse_tree(const std::string& text, int source, Findings& findings);

/// A value given outside a file: YAML if it opens as a list, a map or quoted text, otherwise itself.
std::optional<Node> parse_value(const std::string& text, int source, Findings& findings);

}  // namespace dtrain::job
