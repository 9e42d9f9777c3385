#include "cli/help.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalogue.hpp"
#include "cli/columns.hpp"
#include "cli/version.hpp"

namespace dtrain::cli {
namespace {

std::string flag_lines(const std::vector<const Flag*>& flags) {
  std::size_t width = 0;
  for (const Flag* flag : flags) width = std::max(width, spelled(*flag).size());
  std::string text;
  for (const Flag* flag : flags) text += entry(spelled(*flag), static_cast<int>(width), flag->help);
  return text;
}

std::string verb_list() {
  std::string text, group;
  for (const Verb& verb : verbs()) {
    if (verb.group != group) text += fmt::format("\n{}:\n", group = verb.group);
    text += entry(verb.name, 11, verb.summary);
  }
  return text;
}

std::string overview() {
  return "dtrain trains dense neural networks on every core and every machine you have.\n\n"
         "usage: dtrain VERB [FLAGS] ...\n" +
         verb_list() + "\nFlags of every verb:\n" + flag_lines(global_flags()) +
         "\nBegin with `dtrain run configs/digits.yaml`. `dtrain VERB --help` tells more\n"
         "about a verb, `dtrain explain` about the keys of a job file.\n";
}

std::string examples(const Verb& verb) {
  std::string text = "\nExamples:\n";
  for (const Example& example : verb.examples) text += fmt::format("  {}\n      {}\n", example.command, example.what);
  return text;
}

std::string about(const Verb& verb) {
  std::string text =
      fmt::format("usage: dtrain {} {}\n\n{}\n", verb.name, synopsis(verb), wrap(verb.details, page_width, 0));
  if (!verb.arguments.empty()) text += "\nArguments:\n";
  for (const Argument& argument : verb.arguments) text += entry(argument.value, 9, argument.help);
  if (const auto own = own_flags(verb); !own.empty()) text += "\nFlags:\n" + flag_lines(own);
  return text + "\nFlags of every verb:\n" + flag_lines(global_flags()) + examples(verb);
}

}  // namespace

std::string help(const std::string& verb) {
  const Verb* found = find_verb(verb);
  return found == nullptr ? overview() : about(*found);
}

std::string version_line() { return fmt::format("dtrain {}", version); }

}  // namespace dtrain::cli
