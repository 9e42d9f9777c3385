#include "job/key.hpp"

#include <cmath>

#include "base/text.hpp"
#include "job/distribution.hpp"
#include "job/findings.hpp"

namespace dtrain::job {
namespace {

Key make_key(Shape shape, std::string type, std::string path, std::string default_text, std::string help) {
  return {{std::move(path), std::move(type), "", "", {}, std::move(default_text), std::move(help)},
          shape,
          {},
          {},
          {},
          {},
          {}};
}

Key numeric(Key key, const Bounds& bounds) {
  key.bounds = bounds;
  key.info.range = describe(bounds);
  return key;
}

/// nullopt after a complaint.
std::optional<std::int64_t> integer_of(const Node& node, const Bounds& bounds, const std::string& what,
                                       const Complain& complain) {
  const std::string* text = text_of(node, what, complain);
  if (!text) return std::nullopt;
  const auto value = parse_integer(*text);
  const std::string problem = value ? out_of(bounds, static_cast<double>(*value), *text)
                                    : fmt::format("must be {}, got {}", what, in_quotes(*text));
  if (problem.empty()) return value;
  complain(node, problem);
  return std::nullopt;
}

std::optional<std::string> safe_text(const Node& node, const std::string& what, const Complain& complain) {
  const std::string* text = text_of(node, what, complain);
  if (!text) return std::nullopt;
  if (find_bad_byte(*text) == std::string::npos && text->find_first_of("\r\n") == std::string::npos) return *text;
  complain(node, "must be one line without control characters");
  return std::nullopt;
}

Key any_text_key(Shape shape, std::string type, std::string path, Access<std::string> field, std::string default_text,
                 std::string help) {
  Key key = make_key(shape, std::move(type), std::move(path), std::move(default_text), std::move(help));
  key.set = [=, what = "a " + key.info.type](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (auto text = safe_text(node, shape == Shape::text ? "text" : what, complain)) field(job, entry) = *text;
  };
  key.get = [=](Job& job, std::size_t entry) { return to_yaml(field(job, entry)); };
  return key;
}

std::string flow_list(const std::vector<std::string>& texts) {
  std::vector<std::string> items;
  for (const std::string& text : texts) items.push_back(to_yaml(text));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace

bool is_list(const Node& node, const std::string& what, const Complain& complain) {
  if (node.kind == Node::Kind::list || node.kind == Node::Kind::empty) return true;
  complain(node, fmt::format("must be a list of {}, such as [a, b], got {}", what, describe(node.kind)));
  return false;
}

std::string describe(const Bounds& bounds) {
  const bool low = std::isfinite(bounds.low), high = std::isfinite(bounds.high);
  if (low && high)
    return fmt::format("{}{}, {}{}", bounds.low_open ? '(' : '[', bounds.low, bounds.high,
                       bounds.high_open ? ')' : ']');
  if (low) return fmt::format("{} {}", bounds.low_open ? ">" : ">=", bounds.low);
  if (high) return fmt::format("{} {}", bounds.high_open ? "<" : "<=", bounds.high);
  return "";
}

std::string out_of(const Bounds& bounds, double value, const std::string& text) {
  const char* wanted = nullptr;
  double bound = bounds.low;
  if (value < bounds.low || (bounds.low_open && value == bounds.low)) {
    wanted = bounds.low_open ? "above" : "at least";
  } else if (value > bounds.high || (bounds.high_open && value == bounds.high)) {
    wanted = bounds.high_open ? "below" : "at most";
    bound = bounds.high;
  }
  return wanted ? fmt::format("must be {} {}, got {}", wanted, bound, trim(text)) : "";
}

const std::string* text_of(const Node& node, const std::string& what, const Complain& complain) {
  if (node.kind == Node::Kind::text) return &node.text;
  if (node.kind == Node::Kind::empty) {
    complain(node, fmt::format("has no value; it must be {}", what));
  } else {
    complain(node, fmt::format("must be {}, got {}", what, describe(node.kind)));
  }
  return nullptr;
}

std::optional<std::size_t> choose(const Node& node, const std::vector<std::string>& choices, const Complain& complain) {
  const std::string what = choices.size() == 1 ? choices.front() : "one of " + in_words(choices, "or");
  const std::string* text = text_of(node, what, complain);
  if (!text) return std::nullopt;
  for (std::size_t i = 0; i < choices.size(); ++i)
    if (choices[i] == *text) return i;
  complain(node, fmt::format("must be {}, got {}{}", what, in_quotes(*text), did_you_mean(*text, choices)));
  return std::nullopt;
}

Key in_unit(Key key, std::string unit) {
  key.info.unit = std::move(unit);
  return key;
}

Key map_key(std::string path, std::string help) {
  return make_key(Shape::map, "map", std::move(path), "", std::move(help));
}

Key map_list_key(std::string path, ListAccess list, bool required, std::string example, std::string help) {
  Key key =
      make_key(Shape::list_of_maps, "list of maps", std::move(path), required ? "(required)" : "[]", std::move(help));
  key.list = std::move(list);
  key.example = std::move(example);
  return key;
}

Key required_key(Key key, std::string example) {
  key.info.default_text = "(required)";
  key.example = std::move(example);
  return key;
}

Key text_key(std::string path, Access<std::string> field, std::string default_text, std::string help) {
  return any_text_key(Shape::text, "text", std::move(path), std::move(field), std::move(default_text), std::move(help));
}

Key path_key(std::string path, Access<std::string> field, std::string default_text, std::string help) {
  return any_text_key(Shape::path, "path", std::move(path), std::move(field), std::move(default_text), std::move(help));
}

Key text_list_key(std::string path, Access<std::vector<std::string>> field, std::string default_text,
                  std::string help) {
  Key key = make_key(Shape::list_of_text, "list of text", std::move(path), std::move(default_text), std::move(help));
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (!is_list(node, "text", complain)) return;
    std::vector<std::string> texts;
    for (const Entry& item : node.entries)
      if (auto text = safe_text(item.value, "a list of text", complain)) texts.push_back(*text);
    field(job, entry) = std::move(texts);
  };
  key.get = [=](Job& job, std::size_t entry) { return flow_list(field(job, entry)); };
  return key;
}

Key boolean_key(std::string path, Access<bool> field, std::string default_text, std::string help) {
  Key key = make_key(Shape::boolean, "boolean", std::move(path), std::move(default_text), std::move(help));
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string* text = text_of(node, "true or false", complain);
    if (!text) return;
    if (*text != "true" && *text != "false")
      return complain(node, fmt::format("must be true or false, got {}", in_quotes(*text)));
    field(job, entry) = *text == "true";
  };
  key.get = [=](Job& job, std::size_t entry) { return std::string(field(job, entry) ? "true" : "false"); };
  return key;
}

Key auto_boolean_key(std::string path, Access<std::optional<bool>> field, std::string help) {
  Key key = make_key(Shape::auto_boolean, "boolean or auto", std::move(path), "auto", std::move(help));
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string* text = text_of(node, "true, false or auto", complain);
    if (!text) return;
    if (*text != "true" && *text != "false" && *text != "auto")
      return complain(node, fmt::format("must be true, false or auto, got {}", in_quotes(*text)));
    field(job, entry) = *text == "auto" ? std::nullopt : std::optional(*text == "true");
  };
  key.get = [=](Job& job, std::size_t entry) {
    const std::optional<bool>& value = field(job, entry);
    return std::string(!value ? "auto" : *value ? "true" : "false");
  };
  return key;
}

Key integer_key(std::string path, Access<std::int64_t> field, Bounds bounds, std::string default_text,
                std::string help) {
  Key key =
      numeric(make_key(Shape::integer, "integer", std::move(path), std::move(default_text), std::move(help)), bounds);
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (const auto value = integer_of(node, bounds, "an integer", complain)) field(job, entry) = *value;
  };
  key.get = [=](Job& job, std::size_t entry) { return fmt::format("{}", field(job, entry)); };
  return key;
}

Key seed_key(std::string path, Access<std::uint64_t> field, std::string default_text, std::string help) {
  const Bounds bounds = at_least(0);
  Key key =
      numeric(make_key(Shape::integer, "integer", std::move(path), std::move(default_text), std::move(help)), bounds);
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (const auto value = integer_of(node, bounds, "an integer", complain))
      field(job, entry) = static_cast<std::uint64_t>(*value);
  };
  key.get = [=](Job& job, std::size_t entry) { return fmt::format("{}", field(job, entry)); };
  return key;
}

Key auto_integer_key(std::string path, Access<std::optional<std::int64_t>> field, Bounds bounds, std::string help) {
  Key key = numeric(make_key(Shape::auto_integer, "integer or auto", std::move(path), "auto", std::move(help)), bounds);
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (node.kind == Node::Kind::text && node.text == "auto") {
      field(job, entry) = std::nullopt;
    } else if (const auto value = integer_of(node, bounds, "an integer or auto", complain)) {
      field(job, entry) = *value;
    }
  };
  key.get = [=](Job& job, std::size_t entry) {
    const auto& value = field(job, entry);
    return value ? fmt::format("{}", *value) : std::string("auto");
  };
  return key;
}

Key number_key(std::string path, Access<double> field, Bounds bounds, std::string default_text, std::string help) {
  Key key =
      numeric(make_key(Shape::number, "number", std::move(path), std::move(default_text), std::move(help)), bounds);
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string* text = text_of(node, "a number", complain);
    if (!text) return;
    const auto value = parse_number(*text);
    const std::string problem = value && std::isfinite(*value)
                                    ? out_of(bounds, *value, *text)
                                    : fmt::format("must be a number, got {}", in_quotes(*text));
    if (!problem.empty()) return complain(node, problem);
    field(job, entry) = *value;
  };
  key.get = [=](Job& job, std::size_t entry) { return shortest(field(job, entry)); };
  return key;
}

Key auto_number_key(std::string path, Access<std::optional<double>> field, Bounds bounds, std::string help) {
  Key key = numeric(make_key(Shape::auto_number, "number or auto", std::move(path), "auto", std::move(help)), bounds);
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const std::string* text = text_of(node, "a number or auto", complain);
    if (!text) return;
    if (*text == "auto") return void(field(job, entry) = std::nullopt);
    const auto value = parse_number(*text);
    const std::string problem =
        value ? out_of(bounds, *value, *text) : fmt::format("must be a number or auto, got {}", in_quotes(*text));
    if (!problem.empty()) return complain(node, problem);
    field(job, entry) = *value;
  };
  key.get = [=](Job& job, std::size_t entry) {
    const auto& value = field(job, entry);
    return value ? shortest(*value) : std::string("auto");
  };
  return key;
}

Key distribution_key(std::string path, Access<std::string> field, std::string help) {
  Key key = make_key(Shape::distribution, "distribution", std::move(path), "", std::move(help));
  key.set = [=](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    const auto text = safe_text(node, "a distribution", complain);
    if (!text) return;
    if (!text->empty() && trace_file(*text).empty())
      if (const auto parsed = parse_distribution(*text); std::holds_alternative<std::string>(parsed))
        return complain(node, "must be " + std::get<std::string>(parsed));
    field(job, entry) = *text;
  };
  key.get = [=](Job& job, std::size_t entry) { return to_yaml(field(job, entry)); };
  return key;
}

}  // namespace dtrain::job
