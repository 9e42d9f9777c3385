#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalogue.hpp"
#include "cli/completions.hpp"

namespace dtrain::cli {
namespace {

constexpr const char* script = R"(#compdef dtrain
# zsh completion for dtrain; printed by `dtrain completions zsh`.

_dtrain_verbs() {
  local -a verbs=(
@VERBS@  )
  _describe -t verbs verb verbs
}

_dtrain_keys() {
  compadd -- \
@KEYS@
}

_dtrain_assignments() {
  local -A choices=(
@CHOICES@  )
  if compset -P '*='; then
    local key=${${IPREFIX%=}##*=}
    compadd -- ${=choices[$key]}
  else
    compadd -S = -- \
@ASSIGNMENTS@
  fi
}

_dtrain() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C \
@GLOBAL@    '1:verb:_dtrain_verbs' \
    '*::argument:->arguments'
  [[ $state == arguments ]] || return
  case $words[1] in
@CASES@  esac
}

_dtrain "$@"
)";

/// Inside single quotes.
std::string in_quotes(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return "'" + out + "'";
}

/// Colons and brackets end a field of a specification.
std::string field(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string action(Completion completion, const std::vector<std::string>& choices) {
  switch (completion) {
    case Completion::none: return " ";
    case Completion::file:
    case Completion::path: return "_files";
    case Completion::folder: return "_files -/";
    case Completion::key: return "_dtrain_keys";
    case Completion::assignment: return "_dtrain_assignments";
    case Completion::choice: return "(" + join(choices, " ") + ")";
  }
  return " ";
}

std::string specification(const Flag& flag) {
  const bool repeatable = flag.completion == Completion::assignment;
  std::string rest = "[" + field(flag.help) + "]";
  if (!flag.is_switch()) rest += ":" + field(flag.value) + ":" + action(flag.completion, flag.choices);
  if (flag.letter != '\0')
    return fmt::format("'(-{0} --{1})'{{-{0},--{1}}}{2}", flag.letter, flag.name, in_quotes(rest));
  return in_quotes((repeatable ? "*--" : "--") + flag.name + (flag.is_switch() ? "" : "=") + rest);
}

std::string specifications(const std::vector<const Flag*>& flags, int indent) {
  std::string text;
  for (const Flag* flag : flags)
    text += std::string(static_cast<std::size_t>(indent), ' ') + specification(*flag) + " \\\n";
  return text;
}

std::string verb_case(const Verb& verb) {
  std::string text = fmt::format("    {})\n      _arguments \\\n", verb.name);
  text += specifications(own_flags(verb), 8) + specifications(global_flags(), 8);
  for (const Argument& argument : verb.arguments)
    text += fmt::format("        {} \\\n",
                        in_quotes(fmt::format("{}:{}:{}", argument.required ? "" : ":", field(argument.value),
                                              action(argument.completion, argument.choices))));
  text.replace(text.size() - 3, 3, "\n");
  return text + "      ;;\n";
}

}  // namespace

std::string zsh_completions() {
  std::string verb_lines, cases, choices;
  for (const Verb& verb : verbs()) {
    verb_lines += "    " + in_quotes(field(verb.name) + ":" + field(verb.summary)) + "\n";
    cases += verb_case(verb);
  }
  std::vector<std::string> settable;
  for (const job::KeyInfo* key : settable_keys()) {
    settable.push_back("      " + key->path);
    if (!key->choices.empty()) choices += fmt::format("    {} {}\n", key->path, in_quotes(join(key->choices, " ")));
  }
  return filled(script, {{"VERBS", verb_lines},
                         {"KEYS", "    " + join(explainable_keys(), " \\\n    ")},
                         {"CHOICES", choices},
                         {"ASSIGNMENTS", join(settable, " \\\n")},
                         {"GLOBAL", specifications(global_flags(), 4)},
                         {"CASES", cases}});
}

}  // namespace dtrain::cli
