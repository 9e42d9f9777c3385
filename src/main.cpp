/// dtrain: words -> options -> one verb -> an exit code.

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "cli/help.hpp"
#include "cli/output.hpp"
#include "cli/parse.hpp"
#include "cli/verbs.hpp"

namespace {

using namespace dtrain;

struct Deed {
  const char* verb;
  int (*act)(const cli::Options&);
};

constexpr Deed deeds[] = {
    {"run", cli::run},       {"resume", cli::resume},   {"worker", cli::worker},   {"server", cli::server},
    {"loader", cli::loader}, {"bench", cli::bench},     {"check", cli::check},     {"plan", cli::plan},
    {"eval", cli::eval},     {"predict", cli::predict}, {"inspect", cli::inspect}, {"compare", cli::compare},
    {"report", cli::report}, {"explain", cli::explain}, {"schema", cli::schema},   {"completions", cli::completions},
    {"data", cli::data},     {"init", cli::init},       {"man", cli::man},         {"simulate", cli::simulate},
    {"verify", cli::verify},
};

int act(const cli::Options& options) {
  if (options.version) return cli::print_text(options, "version", cli::version_line() + (options.json ? "" : "\n")), 0;
  if (options.help) return cli::print_text(options, "help", cli::help(options.verb)), 0;
  const auto* deed = std::find_if(std::begin(deeds), std::end(deeds),
                                  [&](const Deed& candidate) { return options.verb == candidate.verb; });
  if (deed == std::end(deeds)) fail(Kind::internal, "the verb '{}' has no deed", options.verb);
  return deed->act(options);
}

}  // namespace

int main(int count, char** words) {
  cli::Options options;
  try {
    const std::vector<std::string> given(words + std::min(count, 1), words + count);
    // Known before parsing, so that a command line that is wrong is told in the form that it asked for.
    options.json = std::find(given.begin(), given.end(), "--json") != given.end();
    options = cli::parse(given);
    return act(options);
  } catch (const std::exception& failure) {
    return cli::tell_failure(options, failure);
  }
}
