#include "base/error.hpp"
#include "cli/catalogue.hpp"
#include "cli/man.hpp"
#include "cli/roff.hpp"
#include "cli/version.hpp"

namespace dtrain::cli {
namespace {

void add_flag(Roff& page, const Flag& flag) {
  const std::string letter = flag.letter == '\0' ? "" : fmt::format("-{}, ", flag.letter);
  page.term(letter + "--" + flag.name, flag.value, flag.help + ".");
}

void add_verbs(Roff& page) {
  page.section("VERBS");
  for (const Verb& verb : verbs()) {
    page.subsection(fmt::format("dtrain {} {}", verb.name, synopsis(verb)));
    page.paragraph(verb.details);
    for (const Argument& argument : verb.arguments) page.term("", argument.value, argument.help + ".");
    for (const Flag* flag : own_flags(verb)) add_flag(page, *flag);
  }
}

void add_files(Roff& page) {
  page.section("FILES").paragraph("A run leaves a folder that only its owner can read:");
  page.term("job.yaml, resolved.yaml", "", "The job as given, and with nothing left to default.");
  page.term("plan.json", "", "Who did what.");
  page.term("metrics.jsonl", "", "What happened, one JSON object a line, each with `event` and `time`.");
  page.term("summary.json", "", "Results, speed, times and bytes, and the hash of the weights.");
  page.term("model.safetensors", "",
            "The trained network, named and shaped as PyTorch would have it, with what `eval` and `predict` need.");
  page.term("checkpoints/step-N/", "", "States to go on from, each with checksums.");
  page.term("logs/ROLE-RANK.log", "", "What each process said.");
  page.term("report.html", "", "The run on one page.");
}

void add_examples(Roff& page) {
  page.section("EXAMPLES");
  for (const Verb& verb : verbs())
    for (const Example& example : verb.examples) page.paragraph(example.what).example(example.command);
}

}  // namespace

std::string program_page() {
  Roff page("dtrain", 1, version, "User Commands");
  page.section("NAME").paragraph("dtrain - train dense neural networks on many cores and machines");
  page.section("SYNOPSIS");
  page.paragraph("`dtrain` VERB [FLAGS] ...");
  page.section("DESCRIPTION");
  page.paragraph(
      "dtrain trains dense neural networks on every core and every machine you have. A job file says what to train on "
      "what data; `dtrain run` starts workers, which compute gradients, and parameter servers, which keep the weights, "
      "or workers alone, which exchange among themselves. It leaves a folder with the trained model.");
  page.paragraph("Results go to standard output, everything else to standard error.");
  add_verbs(page);
  page.section("OPTIONS").paragraph("Flags of every verb, which may also stand before it:");
  for (const Flag* flag : global_flags()) add_flag(page, *flag);
  page.section("EXIT STATUS");
  for (const ExitCode& code : exit_codes()) page.term(code.code, "", code.meaning);
  page.section("ENVIRONMENT");
  page.term("NO_COLOR", "", "If set and not empty, no colors are used, unless `--color always` asks for them.");
  add_files(page);
  add_examples(page);
  page.section("SEE ALSO").paragraph("`dtrain-job`(5)");
  return page.text();
}

}  // namespace dtrain::cli
