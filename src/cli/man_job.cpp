#include "base/error.hpp"
#include "base/text.hpp"
#include "cli/man.hpp"
#include "cli/roff.hpp"
#include "cli/version.hpp"
#include "job/catalogue.hpp"

namespace dtrain::cli {
namespace {

constexpr const char* example_job = R"(name: digits
model:
  layers:
    - dense: 64
      activation: relu
    - dense: 10
  loss: softmax_cross_entropy
data:
  format: generated
  generate: {set: digits}
train:
  epochs: 5
  batch: 128
  optimizer: {type: momentum, learning_rate: 5e-2}
topology:
  workers: 2
  servers: 1
sync:
  policy: bsp
assert:
  - test.accuracy >= 0.9)";

/// "Number, > 0. Default: 0.05."
std::string facts(const job::KeyInfo& key) {
  std::vector<std::string> parts = {key.type};
  if (!key.choices.empty()) parts = {"one of " + join(key.choices, ", ")};
  if (!key.range.empty()) parts.push_back(key.range);
  if (!key.unit.empty()) parts.push_back("in " + key.unit);
  std::string text = "(" + join(parts, "; ");
  if (key.default_text == "(required)") return text + "; required)";
  return text + (key.default_text.empty() ? ")" : "; default: " + key.default_text + ")");
}

void add_keys(Roff& page) {
  page.section("KEYS");
  std::string top;
  for (const job::KeyInfo& key : job::keys()) {
    const std::string first = key.path.substr(0, key.path.find('.'));
    if (first != top) page.subsection(top = first);
    page.term(key.path, "", key.help).more(facts(key));
  }
}

void add_values(Roff& page) {
  page.section("VALUES");
  page.paragraph("A value is read by the type of its key, never by what YAML would guess from its looks.");
  page.term("number", "", "A decimal number, such as 0.05 or 1e-4, or a quotient, such as 1/255.");
  page.term("integer", "", "A decimal whole number.");
  page.term("length", "", "A number and a unit of training: 500 step, 2 epoch; `checkpoint.every` also takes a time.");
  page.term("time", "", "A number and a unit: 250 ms, 10 s, 5 min, 2 h.");
  page.term("size", "", "A number and a unit of memory: 512 MiB, 1.5 GiB.");
  page.term("path", "", "Relative paths start at the folder of the job file.");
}

}  // namespace

std::string job_page() {
  Roff page("dtrain-job", 5, version, "File Formats");
  page.section("NAME").paragraph("dtrain-job - what a job file of dtrain(1) may say");
  page.section("SYNOPSIS").paragraph("`dtrain run` job.yaml");
  page.section("DESCRIPTION");
  page.paragraph(
      "A job is a YAML document. It says which network to train, on which data, how, with how many processes, and what "
      "to do when something fails. Keys that dtrain does not know, keys given twice and values out of range are errors "
      "that name their line; `dtrain check` tells all of them at once and `dtrain explain` prints what this page says "
      "about a key.");
  page.paragraph("Any key can be given another value for one run: `--set train.epochs=3`.");
  add_values(page);
  add_keys(page);
  page.section("EXAMPLES").paragraph("Ten drawn digits, two workers and a server:").example(example_job);
  page.section("SEE ALSO").paragraph("`dtrain`(1)");
  return page.text();
}

}  // namespace dtrain::cli
