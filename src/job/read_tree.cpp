/// The only door to yaml-cpp: its events, not its nodes, so that keys given twice, marks and aliases are in our hands.

#include <algorithm>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "base/text.hpp"
#include "job/findings.hpp"
#include "job/tree.hpp"

namespace dtrain::job {
namespace {

constexpr std::size_t most_bytes = 1 << 20;
constexpr std::size_t most_nodes = 20000;
constexpr std::size_t most_levels = 50;

/// Ends the parse from inside an event.
struct Refused {
  std::size_t at;
  std::string message;
};

std::size_t quoted_length(std::string_view text) {
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != '\'') return i + 1;
      ++i;
    }
  }
  return text.size();
}

/// Bytes of the token that starts here, of which `value` was read.
std::size_t token_length(std::string_view text, const std::string& value) {
  if (text.empty()) return 0;
  if (text.front() == '"' || text.front() == '\'') return quoted_length(text);
  if (!value.empty() && text.substr(0, value.size()) == value) return value.size();
  return std::max<std::size_t>(1, std::min(text.find_first_of(" \t\r\n,]}"), text.size()));
}

/// yaml-cpp takes `null` and `~` for nothing; here the key decides, so the word is wanted back. "" if nothing was
/// there.
std::string null_word(std::string_view text) {
  for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
    if (text.substr(0, word.size()) != word) continue;
    const std::string_view rest = text.substr(word.size());
    const std::size_t next = rest.find_first_not_of(" \t");
    const bool ends = rest.empty() || std::string_view(" \t\r\n,]}").find(rest.front()) != std::string_view::npos;
    // An empty value is marked at the token after it, which may be a key of that name.
    if (ends && (next == std::string_view::npos || rest[next] != ':')) return std::string(word);
  }
  return "";
}

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1;
  for (const Entry& entry : node.entries) count += count_nodes(entry.value);
  return count;
}

class Builder : public YAML::EventHandler {
 public:
  Builder(const std::string& text, int source, Findings& findings)
      : text_(text), source_(source), findings_(findings) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) findings_.error(spot(mark, ""), "a job is one YAML document, and a second one starts here");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const std::string word = null_word(rest(mark));
    if (word.empty()) return add(Node{Node::Kind::empty, spot(mark, ""), "", {}}, anchor);
    add(text_node(word, spot(mark, word)), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    add(text_node(value, spot(mark, value)), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) throw Refused{offset(mark), "this alias stands inside the value that it names"};
    Node copy = found->second;
    nodes_ += count_nodes(copy);
    copy.spot = spot(mark, "");
    add(std::move(copy), 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  /// Once the whole text is parsed. Only now are keys that are no text told: yaml-cpp also sees one in `[{a: 1}`.
  Node take() {
    for (const Node& node : nameless_)
      findings_.error(node.spot, fmt::format("a key must be text, got {}", describe(node.kind)));
    return std::move(root_);
  }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    std::map<std::string, Spot> names;
    bool named = false;  ///< a name was read, its value is next
    bool keep = true;    ///< false: a name given before, or none at all; the value is dropped
    std::string name;
    Spot name_spot;
  };

  std::size_t offset(const YAML::Mark& mark) const {
    return mark.pos < 0 ? 0 : std::min(static_cast<std::size_t>(mark.pos), text_.size());
  }
  std::string_view rest(const YAML::Mark& mark) const { return std::string_view(text_).substr(offset(mark)); }
  Spot spot(const YAML::Mark& mark, const std::string& value) const {
    return {source_, offset(mark), token_length(rest(mark), value)};
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (documents_ > 1 || tag.empty() || tag == "?" || tag == "!") return;
    findings_.error(spot(mark, ""), "a tag means nothing in a job, where every key has its type; leave it out");
  }

  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(mark, tag);
    if (frames_.size() == most_levels)
      throw Refused{offset(mark), fmt::format("a job is nested at most {} deep", most_levels)};
    Frame frame;
    frame.node.kind = kind;
    frame.node.spot = {source_, offset(mark), 1};
    if (!rest(mark).empty() && rest(mark).front() == '&') frame.node.spot = spot(mark, "");
    frame.anchor = anchor;
    frames_.push_back(std::move(frame));
  }
  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    add(std::move(frame.node), frame.anchor);
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (++nodes_ > most_nodes) throw Refused{node.spot.at, fmt::format("a job holds at most {} values", most_nodes)};
    if (anchor != 0) {
      nodes_ += count_nodes(node);
      anchored_[anchor] = node;
    }
    if (frames_.empty()) {
      if (documents_ == 1) root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    if (frame.node.kind == Node::Kind::list) {
      frame.node.entries.push_back({"", node.spot, std::move(node)});
    } else if (!frame.named) {
      take_name(frame, node);
    } else {
      frame.named = false;
      if (node.kind == Node::Kind::empty) node.spot = frame.name_spot;
      if (frame.keep) frame.node.entries.push_back({frame.name, frame.name_spot, std::move(node)});
    }
  }

  void take_name(Frame& frame, const Node& node) {
    frame.named = true;
    frame.keep = node.kind == Node::Kind::text;
    frame.name = node.text;
    frame.name_spot = node.spot;
    if (documents_ > 1) return;
    if (!frame.keep) return nameless_.push_back(node);
    const auto [first, fresh] = frame.names.emplace(node.text, node.spot);
    if (fresh) return;
    frame.keep = false;
    const int line = findings_.line(first->second);
    findings_.error(node.spot, fmt::format("{} is given twice{}", path_here(),
                                           line > 0 ? fmt::format("; the first is on line {}", line) : ""));
  }

  std::string path_here() const {
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.node.kind == Node::Kind::list) {
        path += fmt::format("[{}]", frame.node.entries.size());
      } else {
        path += (path.empty() ? "" : ".") + frame.name;
      }
    }
    return path;
  }

  const std::string& text_;
  int source_;
  Findings& findings_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  Node root_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Node> anchored_;
  std::vector<Node> nameless_;
};

bool refuse_bytes(const std::string& text, int source, Findings& findings) {
  if (text.size() > most_bytes) {
    findings.error({source}, fmt::format("a job has at most {} bytes, got {}", most_bytes, text.size()));
    return true;
  }
  const std::size_t bad = find_bad_byte(text);
  if (bad == std::string::npos) return false;
  findings.error({source, bad, 1}, fmt::format("byte 0x{:02x} has no place here: a job is UTF-8 text",
                                               static_cast<unsigned>(static_cast<unsigned char>(text[bad]))));
  return true;
}

}  // namespace

const char* describe(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::empty: return "nothing";
    case Node::Kind::text: return "text";
    case Node::Kind::list: return "a list";
    case Node::Kind::map: return "a map";
  }
  return "";
}

Entry* find_entry(Node& map, const std::string& name) {
  for (Entry& entry : map.entries)
    if (entry.name == name) return &entry;
  return nullptr;
}

std::optional<Node> parse_tree(const std::string& text, int source, Findings& findings) {
  if (refuse_bytes(text, source, findings)) return std::nullopt;
  Builder builder(text, source, findings);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const YAML::Exception& problem) {
    const auto at = problem.mark.is_null() ? Spot::nowhere : static_cast<std::size_t>(std::max(0, problem.mark.pos));
    findings.error({source, at, 1}, "this is not YAML: " + problem.msg);
  } catch (const Refused& refused) {
    findings.error({source, refused.at, 1}, refused.message);
  }
  return std::nullopt;
}

std::optional<Node> parse_value(const std::string& text, int source, Findings& findings) {
  const std::string value(trim(text));
  if (!value.empty() && std::string_view("[{\"'").find(value.front()) != std::string_view::npos)
    return parse_tree(value, source, findings);
  if (refuse_bytes(value, source, findings)) return std::nullopt;
  if (value.empty()) return Node{Node::Kind::empty, {source}, "", {}};
  return text_node(value, {source});
}

}  // namespace dtrain::job
