#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/catalogue.hpp"
#include "cli/completions.hpp"

namespace dtrain::cli {
namespace {

constexpr const char* script = R"(# bash completion for dtrain; printed by `dtrain completions bash`.

_dtrain_offer() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$word")
}

_dtrain_files() {
  compopt -o filenames 2> /dev/null
  _dtrain_offer "$@"
}

# Values of a key or a flag that has a list of choices.
_dtrain_choices() {
  case "$1" in
@CHOICES@  esac
}

_dtrain_verb() {
  local k
  for ((k = 1; k < COMP_CWORD; ++k)); do
    case "${COMP_WORDS[k]}" in
      @VERB_PATTERN@)
        verb=${COMP_WORDS[k]}
        return
        ;;
    esac
  done
}

_dtrain() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb="" key=""
  COMPREPLY=()
  _dtrain_verb
  # "--set key=value" arrives as the words --set, key, = and value.
  if [[ $word == "=" ]]; then
    key=$before word=""
  elif [[ $before == "=" ]]; then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ $key == --set ]]; then
    before=--set
  elif [[ $key == --* ]]; then
    before=$key
  elif [[ -n $key ]]; then
    _dtrain_choices "$key"
    return
  fi
  case "$before" in
@FLAG_VALUES@  esac
  if [[ $word == -* ]]; then
    case "$verb" in
@FLAGS@    esac
    return
  fi
  case "$verb" in
@ARGUMENTS@  esac
}

complete -F _dtrain dtrain
)";

std::string names(const std::vector<const Flag*>& flags) {
  std::vector<std::string> words;
  for (const Flag* flag : flags) words.push_back("--" + flag->name);
  return join(words, " ");
}

/// The command that offers what may stand in a place.
std::string offer(Completion completion, const std::vector<std::string>& choices) {
  switch (completion) {
    case Completion::none: return ":";
    case Completion::file:
    case Completion::path: return "_dtrain_files -f";
    case Completion::folder: return "_dtrain_files -d";
    case Completion::key: return fmt::format("_dtrain_offer -W \"{}\"", join(explainable_keys(), " "));
    case Completion::choice: return fmt::format("_dtrain_offer -W \"{}\"", join(choices, " "));
    case Completion::assignment: {
      std::vector<std::string> paths;
      for (const job::KeyInfo* key : settable_keys()) paths.push_back(key->path);
      return fmt::format("compopt -o nospace 2> /dev/null; _dtrain_offer -S = -W \"{}\"", join(paths, " "));
    }
  }
  return ":";
}

std::string key_choices() {
  std::string text;
  for (const job::KeyInfo* key : settable_keys())
    if (!key->choices.empty())
      text += fmt::format("    {}) _dtrain_offer -W \"{}\" ;;\n", key->path, join(key->choices, " "));
  return text;
}

std::string flag_values() {
  std::string text;
  std::vector<std::string> told;
  for (const Flag& flag : flags()) {
    if (flag.is_switch() || std::find(told.begin(), told.end(), flag.name) != told.end()) continue;
    told.push_back(flag.name);
    text +=
        fmt::format("    --{})\n      {}\n      return\n      ;;\n", flag.name, offer(flag.completion, flag.choices));
  }
  return text;
}

}  // namespace

std::string bash_completions() {
  std::string own, arguments;
  std::vector<std::string> verb_names;
  for (const Verb& verb : verbs()) {
    verb_names.push_back(verb.name);
    own += fmt::format("      {}) _dtrain_offer -W \"{}\" ;;\n", verb.name,
                       trim(names(own_flags(verb)) + " " + names(global_flags())));
    if (!verb.arguments.empty())
      arguments +=
          fmt::format("    {}) {} ;;\n", verb.name, offer(verb.arguments[0].completion, verb.arguments[0].choices));
  }
  own += fmt::format("      *) _dtrain_offer -W \"{}\" ;;\n", names(global_flags()));
  arguments += fmt::format("    \"\") _dtrain_offer -W \"{}\" ;;\n", join(verb_names, " "));
  return filled(script, {{"CHOICES", key_choices()},
                         {"VERB_PATTERN", join(verb_names, " | ")},
                         {"FLAG_VALUES", flag_values()},
                         {"FLAGS", own},
                         {"ARGUMENTS", arguments}});
}

}  // namespace dtrain::cli
