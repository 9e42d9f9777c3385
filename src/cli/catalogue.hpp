#pragma once
/// The one catalogue of verbs, arguments and flags: from it come the parser, --help, dtrain(1) and the completions.
///
/// Plain constant tables; any thread.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "cli/options.hpp"

namespace dtrain::cli {

/// What a shell offers in the place of a value.
enum class Completion {
  none,
  file,
  folder,
  path,        ///< a file or a folder
  key,         ///< a job's key or section
  assignment,  ///< a job's key and '='
  choice
};

/// A word that a verb takes by its position.
struct Argument {
  std::string value;  ///< placeholder: "JOB"
  std::string help;
  bool required;
  Completion completion;
  std::vector<std::string> choices;
  std::string Options::*to;
};

/// Where a flag's value goes; the field's type says how it is read: a switch, text, text given any number of times, a
/// time with a unit, a whole number of at least 1.
using Target = std::variant<bool Options::*, std::string Options::*, std::vector<std::string> Options::*,
                            Seconds Options::*, std::int64_t Options::*>;

struct Flag {
  std::string name;                ///< without dashes
  char letter;                     ///< one-letter form, or '\0'
  std::string value;               ///< placeholder, "" for a switch
  std::string help;                ///< a phrase without a full stop
  std::vector<std::string> verbs;  ///< that take it; empty: all
  bool required;
  Completion completion;
  std::vector<std::string> choices;
  Target to;

  bool global() const { return verbs.empty(); }
  bool is_switch() const { return value.empty(); }
};

struct Example {
  std::string command;
  std::string what;
};

struct Verb {
  std::string name;
  std::string group;    ///< heading under which it is listed
  std::string summary;  ///< one phrase
  std::string details;  ///< whole sentences
  std::vector<Argument> arguments;
  std::vector<Example> examples;
};

struct ExitCode {
  std::string code;
  std::string meaning;
};

const std::vector<Verb>& verbs();
const std::vector<Flag>& flags();
const std::vector<ExitCode>& exit_codes();

/// The verb, or nullptr.
const Verb* find_verb(std::string_view name);

/// The flags that are a verb's own, in order; and those of every verb.
std::vector<const Flag*> own_flags(const Verb& verb);
std::vector<const Flag*> global_flags();

/// "[FLAGS] JOB", "--connect ENDPOINT [FLAGS]", "[KEY]": what follows a verb.
std::string synopsis(const Verb& verb);
/// "-q, --quiet", "    --out DIR".
std::string spelled(const Flag& flag);

}  // namespace dtrain::cli
