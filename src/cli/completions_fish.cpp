#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalogue.hpp"
#include "cli/completions.hpp"

namespace dtrain::cli {
namespace {

std::string in_quotes(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return "'" + out + "'";
}

std::string action(Completion completion, const std::vector<std::string>& choices) {
  switch (completion) {
    case Completion::none: return "";
    case Completion::file:
    case Completion::path: return " -F";
    case Completion::folder: return " -a '(__fish_complete_directories)'";
    case Completion::key: return " -a '(__dtrain_keys)'";
    case Completion::assignment: return " -a '(__dtrain_assignments)'";
    case Completion::choice: return " -a " + in_quotes(join(choices, " "));
  }
  return "";
}

std::string flag_line(const Flag& flag, const std::string& condition) {
  std::string line = "complete -c dtrain" + condition;
  if (flag.letter != '\0') line += fmt::format(" -s {}", flag.letter);
  line += " -l " + flag.name;
  if (!flag.is_switch()) line += " -x" + action(flag.completion, flag.choices);
  // -x would forbid the files that -F offers.
  if (const std::size_t files = line.find(" -x -F"); files != std::string::npos) line.replace(files, 6, " -r -F");
  return line + " -d " + in_quotes(flag.help) + "\n";
}

/// Lines of "candidate<tab>what it is".
std::string candidates(const std::string& function, const std::vector<std::pair<std::string, std::string>>& lines) {
  std::string text = fmt::format("function {}\n    printf '%s\\t%s\\n' \\\n", function);
  std::vector<std::string> items;
  for (const auto& [word, what] : lines) items.push_back("        " + in_quotes(word) + " " + in_quotes(what));
  return text + join(items, " \\\n") + "\nend\n\n";
}

std::string assignments() {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const job::KeyInfo* key : settable_keys()) {
    lines.emplace_back(key->path + "=", key->help);
    for (const std::string& choice : key->choices) lines.emplace_back(key->path + "=" + choice, key->help);
  }
  return candidates("__dtrain_assignments", lines);
}

std::string keys() {
  std::vector<std::pair<std::string, std::string>> lines;
  const auto paths = explainable_keys();
  for (std::size_t k = 0; k < paths.size(); ++k) lines.emplace_back(paths[k], job::keys()[k].help);
  return candidates("__dtrain_keys", lines);
}

}  // namespace

std::string fish_completions() {
  std::string text = "# fish completion for dtrain; printed by `dtrain completions fish`.\n\n" + assignments() + keys();
  text += "complete -c dtrain -f\n";
  for (const Flag* flag : global_flags()) text += flag_line(*flag, "");
  for (const Verb& verb : verbs()) {
    text +=
        fmt::format("\ncomplete -c dtrain -n __fish_use_subcommand -a {} -d {}\n", verb.name, in_quotes(verb.summary));
    const std::string condition = fmt::format(" -n '__fish_seen_subcommand_from {}'", verb.name);
    for (const Flag* flag : own_flags(verb)) text += flag_line(*flag, condition);
    if (!verb.arguments.empty())
      text += fmt::format("complete -c dtrain{}{}\n", condition,
                          action(verb.arguments[0].completion, verb.arguments[0].choices));
  }
  return text;
}

}  // namespace dtrain::cli
