#include "sync/trace.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/json.hpp"

namespace dtrain::sync {
namespace {

using What = Event::What;

constexpr std::array<const char*, 9> names = {"pull", "push", "drop", "apply", "release",
                                              "lose", "join", "undo", "cut"};

bool has_rank(What what) { return what != What::undo; }
bool has_clock(What what) {
  return what == What::push || what == What::drop || what == What::apply || what == What::release ||
         what == What::join || what == What::cut;
}
/// What its last number is called; nullptr: it has none.
const char* rows_field(What what) {
  if (what == What::push) return "rows";
  return what == What::cut ? "ordinal" : nullptr;
}

/// One line's object; a field that nobody asks for is refused.
class Fields {
 public:
  explicit Fields(const std::string& line) {
    std::set<std::string> keys;
    const auto inspect = [&keys](int depth, Json::parse_event_t event, Json& value) {
      if (depth > 2) throw std::runtime_error("JSON nested too deeply");
      if (event == Json::parse_event_t::key && !keys.insert(value.get<std::string>()).second)
        throw std::runtime_error("field \"" + value.get<std::string>() + "\" given twice");
      return true;
    };
    try {
      object_ = Json::parse(line, inspect);
    } catch (const nlohmann::detail::exception&) {
      throw std::runtime_error("not JSON");
    }
    if (!object_.is_object()) throw std::runtime_error("a JSON object is expected");
  }

  const Json& take(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end()) throw std::runtime_error(fmt::format("field \"{}\" is missing", key));
    seen_.insert(key);
    return *found;
  }

  std::string text(const char* key) {
    const Json& value = take(key);
    if (!value.is_string()) throw std::runtime_error(fmt::format("field \"{}\" must be text", key));
    return value.get<std::string>();
  }

  template <class Number>
  Number number(const char* key) {
    return as<Number>(take(key), key);
  }

  template <class Number>
  std::vector<Number> numbers(const char* key) {
    const Json& value = take(key);
    if (!value.is_array()) throw std::runtime_error(fmt::format("field \"{}\" must be a list", key));
    std::vector<Number> out;
    for (const Json& item : value) out.push_back(as<Number>(item, key));
    return out;
  }

  void refuse_others() const {
    for (const auto& [key, value] : object_.items())
      if (!seen_.contains(key)) throw std::runtime_error(fmt::format("unknown field \"{}\"", key.substr(0, 40)));
  }

 private:
  template <class Number>
  static Number as(const Json& value, const char* key) {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
      throw std::runtime_error(fmt::format("field \"{}\" must be a whole number from 0 to {}", key, most));
    return static_cast<Number>(value.get<std::uint64_t>());
  }

  Json object_;
  std::set<std::string> seen_;
};

/// The first line tells whether the file is a trace at all.
Fields open_head(const std::string& line) {
  constexpr const char* expected = "a trace's first line is {\"event\": \"begin\", ...}";
  try {
    Fields fields(line);
    if (fields.text("event") == "begin") return fields;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("{}; {}", error.what(), expected));
  }
  throw std::runtime_error(expected);
}

TraceHead parse_head(const std::string& line) {
  Fields fields = open_head(line);
  TraceHead head;
  head.workers = fields.number<int>("workers");
  head.servers = fields.number<int>("servers");
  head.total_steps = fields.number<Clock>("total_steps");
  head.single_until = fields.number<Clock>("single_until");
  head.clocks = fields.numbers<Clock>("clocks");
  head.absent = fields.numbers<Rank>("absent");
  head.job = fields.text("job");
  fields.refuse_others();
  if (head.workers < 1 || head.servers < 1) throw std::runtime_error("there must be a worker and a server");
  if (head.clocks.size() != static_cast<std::size_t>(head.workers))
    throw std::runtime_error(fmt::format("{} clocks for {} workers", head.clocks.size(), head.workers));
  for (const Rank rank : head.absent)
    if (rank >= head.workers) throw std::runtime_error(fmt::format("there is no rank {} to be absent", rank));
  return head;
}

What parse_what(const std::string& word) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (word == names[i]) return static_cast<What>(i);
  throw std::runtime_error(fmt::format("unknown event \"{}\"", word.substr(0, 40)));
}

Event parse_event(const std::string& line) {
  Fields fields(line);
  Event event;
  event.what = parse_what(fields.text("event"));
  event.server = fields.number<int>("server");
  if (has_rank(event.what)) event.rank = fields.number<Rank>("rank");
  if (has_clock(event.what)) event.clock = fields.number<Clock>("clock");
  event.version = fields.number<std::uint64_t>("version");
  if (const char* field = rows_field(event.what)) event.rows = fields.number<std::uint64_t>(field);
  fields.refuse_others();
  return event;
}

}  // namespace

const char* name(What what) { return names.at(static_cast<std::size_t>(what)); }

std::string to_line(const TraceHead& head) {
  return Json{{"event", "begin"},
              {"workers", head.workers},
              {"servers", head.servers},
              {"total_steps", head.total_steps},
              {"single_until", head.single_until},
              {"clocks", head.clocks},
              {"absent", head.absent},
              {"job", head.job}}
      .dump();
}

std::string to_line(const Event& event) {
  std::string line = fmt::format("{{\"event\": \"{}\", \"server\": {}", name(event.what), event.server);
  if (has_rank(event.what)) line += fmt::format(", \"rank\": {}", event.rank);
  if (has_clock(event.what)) line += fmt::format(", \"clock\": {}", event.clock);
  line += fmt::format(", \"version\": {}", event.version);
  if (const char* field = rows_field(event.what)) line += fmt::format(", \"{}\": {}", field, event.rows);
  return line + "}";
}

Trace read_trace(const std::string& path) {
  const std::string text = read_file(path, Kind::data);
  Trace trace;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    try {
      if (number == 1)
        trace.head = parse_head(line);
      else
        trace.events.push_back(parse_event(line));
    } catch (const std::runtime_error& error) {
      throw Error(Kind::data, Place{path, number, 0}, error.what());
    }
  }
  if (number == 0) throw Error(Kind::data, Place{path, 0, 0}, "an empty file is no trace");
  return trace;
}

}  // namespace dtrain::sync
