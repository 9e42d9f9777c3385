#include "cli/parse.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <CLI/CLI.hpp>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalogue.hpp"

namespace dtrain::cli {
namespace {

/// CLI11 only sorts words into these; everything that can be wrong about them is judged and told below, so that its
/// own messages and exit codes never surface.
struct Sorted {
  std::map<const Flag*, bool> switches;
  std::map<const Flag*, std::vector<std::string>> values;
  std::vector<std::string> arguments;
  std::vector<std::string> extras;
  const Verb* verb = nullptr;
};

[[noreturn]] void usage_error(const Verb* verb, const std::string& message) {
  const std::string call = verb == nullptr ? "dtrain --help" : fmt::format("dtrain {} --help", verb->name);
  fail(Kind::usage, "{} (see {})", message, call);
}

std::string meant(const std::string& word, const std::vector<std::string>& candidates) {
  const auto near = nearest(word, candidates);
  return near ? fmt::format("; did you mean {}?", *near) : "";
}

void declare(CLI::App& app, const Flag& flag, Sorted& sorted) {
  const std::string names = flag.letter == '\0' ? "--" + flag.name : fmt::format("-{},--{}", flag.letter, flag.name);
  if (flag.is_switch()) {
    app.add_flag(names, sorted.switches[&flag])->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  } else {
    // Without this, a flag that may be repeated would swallow all words that follow it.
    app.add_option(names, sorted.values[&flag])->allow_extra_args(false);
  }
}

void declare(CLI::App& app, const Verb& verb, Sorted& sorted) {
  CLI::App* sub = app.add_subcommand(verb.name);
  sub->set_help_flag();
  sub->fallthrough()->allow_extras();
  for (const Flag* flag : own_flags(verb)) declare(*sub, *flag, sorted);
  sub->add_option("arguments", sorted.arguments);
  sub->callback([&sorted, &verb] { sorted.verb = &verb; });
}

/// Whether `word` is a flag that some verb has, "--out" or "-q", and which.
const Flag* find_flag(std::string_view word) {
  for (const Flag& flag : flags())
    if (word == "--" + flag.name || (flag.letter != '\0' && word == fmt::format("-{}", flag.letter))) return &flag;
  return nullptr;
}

/// CLI11 throws for a flag at the end without its value, and for a value given to a switch.
[[noreturn]] void explain_parse_error(const CLI::ParseError& error, const std::vector<std::string>& words) {
  const Flag* last = words.empty() ? nullptr : find_flag(words.back());
  if (last != nullptr && !last->is_switch())
    usage_error(nullptr, fmt::format("--{} needs a value: --{} {}", last->name, last->name, last->value));
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const Flag* flag = equals == std::string::npos ? nullptr : find_flag(word.substr(0, equals));
    if (flag != nullptr && flag->is_switch()) usage_error(nullptr, fmt::format("--{} takes no value", flag->name));
  }
  usage_error(nullptr, error.what());
}

Sorted sort_words(const std::vector<std::string>& words) {
  Sorted sorted;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras()->require_subcommand(0, 1);
  for (const Flag* flag : global_flags()) declare(app, *flag, sorted);
  for (const Verb& verb : verbs()) declare(app, verb, sorted);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    explain_parse_error(error, words);
  }
  sorted.extras = app.remaining(true);
  std::erase(sorted.extras, "--");
  return sorted;
}

[[noreturn]] void refuse_flag(const Verb* verb, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  if (const Flag* flag = find_flag(name); flag != nullptr && verb == nullptr)
    usage_error(verb, fmt::format("{} goes with a verb: {}", name, join(flag->verbs, ", ")));
  std::vector<std::string> known;
  for (const Flag* flag : global_flags()) known.push_back("--" + flag->name);
  if (verb == nullptr) usage_error(verb, fmt::format("unknown flag {}{}", name, meant(name, known)));
  for (const Flag* flag : own_flags(*verb)) known.push_back("--" + flag->name);
  if (std::find(known.begin(), known.end(), name) != known.end())
    usage_error(verb, fmt::format("{} goes after the verb: dtrain {} {} ...", name, verb->name, name));
  usage_error(verb, fmt::format("dtrain {} has no flag {}{}", verb->name, name, meant(name, known)));
}

void refuse_extras(const Sorted& sorted) {
  for (const std::string& word : sorted.extras)
    if (word.size() > 1 && word.front() == '-') refuse_flag(sorted.verb, word);
  if (sorted.extras.empty()) return;
  const std::string& word = sorted.extras.front();
  if (sorted.verb != nullptr) usage_error(sorted.verb, fmt::format("unexpected argument '{}'", word));
  std::vector<std::string> known;
  for (const Verb& verb : verbs()) known.push_back(verb.name);
  usage_error(nullptr, fmt::format("unknown verb '{}'{}", word, meant(word, known)));
}

void check_choice(const Verb* verb, const std::string& name, const std::string& value,
                  const std::vector<std::string>& choices) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  usage_error(verb,
              fmt::format("{} must be {}, got '{}'{}", name, fmt::join(choices, " or "), value, meant(value, choices)));
}

Seconds read_time(const Verb* verb, const Flag& flag, const std::string& text) {
  const std::map<std::string, double> units = {{"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600}};
  const auto quantity = parse_quantity(text);
  const auto unit = quantity ? units.find(quantity->unit) : units.end();
  if (unit == units.end() || quantity->value <= 0)
    usage_error(verb, fmt::format("--{} must be a time above 0 in ms, s, min or h, such as \"90 s\", got '{}'",
                                  flag.name, text));
  return Seconds(quantity->value * unit->second);
}

std::int64_t read_count(const Verb* verb, const Flag& flag, const std::string& text) {
  const auto count = parse_integer(text);
  if (!count || *count < 1)
    usage_error(verb, fmt::format("--{} must be a whole number of at least 1, got '{}'", flag.name, text));
  return *count;
}

void assign(const Verb* verb, const Flag& flag, const std::vector<std::string>& values, Options& options) {
  const bool repeatable = std::holds_alternative<std::vector<std::string> Options::*>(flag.to);
  if (values.size() > 1 && !repeatable) usage_error(verb, fmt::format("--{} is given twice", flag.name));
  for (const std::string& value : values) {
    // `--out --json` forgot the folder; the words were sorted as if "--json" were its name.
    if (find_flag(value) != nullptr)
      usage_error(verb, fmt::format("--{} needs a value: --{} {}", flag.name, flag.name, flag.value));
    check_choice(verb, "--" + flag.name, value, flag.choices);
    if (flag.completion == Completion::assignment && value.find('=') == std::string::npos)
      usage_error(verb, fmt::format("--{} needs {}, got '{}'", flag.name, flag.value, value));
    if (const auto* text = std::get_if<std::string Options::*>(&flag.to)) options.*(*text) = value;
    if (const auto* list = std::get_if<std::vector<std::string> Options::*>(&flag.to))
      (options.*(*list)).push_back(value);
    if (const auto* time = std::get_if<Seconds Options::*>(&flag.to)) options.*(*time) = read_time(verb, flag, value);
    if (const auto* count = std::get_if<std::int64_t Options::*>(&flag.to))
      options.*(*count) = read_count(verb, flag, value);
  }
}

void check_required_flags(const Sorted& sorted) {
  const Verb& verb = *sorted.verb;
  for (const Flag* flag : own_flags(verb)) {
    const auto given = sorted.values.find(flag);
    if (flag->required && (given == sorted.values.end() || given->second.empty()))
      usage_error(&verb, fmt::format("dtrain {} needs --{} {}", verb.name, flag->name, flag->value));
  }
}

void assign_arguments(const Sorted& sorted, Options& options) {
  const Verb& verb = *sorted.verb;
  if (sorted.arguments.size() > verb.arguments.size())
    usage_error(&verb, fmt::format("unexpected argument '{}'", sorted.arguments[verb.arguments.size()]));
  for (std::size_t k = 0; k < verb.arguments.size(); ++k) {
    const Argument& argument = verb.arguments[k];
    if (k < sorted.arguments.size()) {
      check_choice(&verb, argument.value, sorted.arguments[k], argument.choices);
      options.*(argument.to) = sorted.arguments[k];
    } else if (argument.required) {
      usage_error(&verb, fmt::format("dtrain {} needs {}", verb.name, argument.value));
    }
  }
}

}  // namespace

Options parse(const std::vector<std::string>& words) {
  const Sorted sorted = sort_words(words);
  Options options;
  if (sorted.verb != nullptr) options.verb = sorted.verb->name;
  for (const auto& [flag, given] : sorted.switches)
    if (given) options.*(std::get<bool Options::*>(flag->to)) = true;
  const bool only_shows = options.help || options.version;
  if (!only_shows || sorted.verb == nullptr) refuse_extras(sorted);
  if (only_shows) return options;
  if (sorted.verb == nullptr) usage_error(nullptr, "a verb is missing: what should be done?");
  for (const auto& [flag, values] : sorted.values) assign(sorted.verb, *flag, values, options);
  check_required_flags(sorted);
  assign_arguments(sorted, options);
  return options;
}

}  // namespace dtrain::cli
