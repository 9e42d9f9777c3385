#include "cli/catalogue.hpp"

#include <algorithm>
#include "base/error.hpp"

namespace dtrain::cli {
namespace {

using O = Options;
using C = Completion;

Argument job_argument() {
  return {"JOB", "job file in YAML, as dtrain-job(5) describes it", true, C::file, {}, &O::job};
}
Argument model_argument() {
  return {"RUN|MODEL", "a run's folder, or a model.safetensors", true, C::path, {}, &O::model};
}
Argument run_argument() { return {"RUN", "folder of a run", true, C::folder, {}, &O::run}; }

std::vector<Verb> training_verbs() {
  return {
      {"run",
       "Train",
       "train the network of a job file, here and now",
       "Checks the job, plans it, starts its workers, and servers if it has any, as processes of this machine, trains, "
       "evaluates and saves. The run leaves a folder with the trained model, the metrics, checkpoints and a report; "
       "its path is printed at the end. Ctrl-C finishes the step and saves a checkpoint first; a second Ctrl-C ends at "
       "once.",
       {job_argument()},
       {{"dtrain run configs/digits.yaml", "Train on drawn digits that dtrain makes itself."},
        {"dtrain run --set train.epochs=3 --set topology.workers=4 job.yaml", "Change keys for this run only."},
        {"dtrain run --out runs/a --resume --max-time '2 h' job.yaml",
         "Train for two hours at most; the same command again goes on from there."},
        {"dtrain run --replay runs/a/trace.jsonl job.yaml",
         "Repeat a run that --record wrote down, bit for bit, under any sync policy."}}},
      {"resume",
       "Train",
       "go on with a run that was stopped",
       "Goes on from the newest sound checkpoint in the run's folder, with the job as it was. Under the sync "
       "policies with steps in common (bsp, subset, local, bmuf, sign_vote, adaptive by period, quorum of all "
       "workers), with servers or without, the weights at the end are, bit for bit, those of a run that was never "
       "stopped. A checkpoint is of the whole network: --set may give other workers, servers or topology.split "
       "than the run began with.",
       {run_argument()},
       {{"dtrain resume runs/mnist", "Go on after a Ctrl-C, a crash or a power cut."},
        {"dtrain resume --set topology.workers=2 --set topology.split.pipeline=2 --set topology.servers=auto "
         "runs/mnist",
         "Go on with the network split over two workers."}}},
      {"worker",
       "Train",
       "join a run as a worker, from this or another machine",
       "Connects to a run whose job counts external workers (topology.external) and computes for it until it ends. The "
       "job and the rank arrive over the wire; the run prints the exact command to give.",
       {},
       {{"dtrain worker --connect tcp://10.0.0.1:7000 --token-file run.token", "Join a run on another machine."},
        {"dtrain worker --connect tcp://127.0.0.1:7000 --data-dir /data/mnist",
         "Join with the data lying elsewhere on this machine."}}},
      {"server",
       "Train",
       "join a run as a parameter server, from this or another machine",
       "Connects to a run, is given a slice of the weights, and keeps it: it folds the workers' gradients in and takes "
       "the optimizer's steps until the run ends.",
       {},
       {{"dtrain server --connect tcp://10.0.0.1:7000 --token-file run.token", "Join a run on another machine."}}},
      {"loader",
       "Train",
       "join a run as a loader of rows; runs start theirs themselves",
       "Connects to a run whose rows are central, peer or staged (data.sharing), reads them, and hands them to the "
       "workers that ask. `dtrain run` starts as many as its job needs.",
       {},
       {{"dtrain loader --connect ipc:///run/user/1000/dt-x1Yz/control", "What a run starts."}}},
  };
}

/// What comes first: a look at the rows, and a job for them.
std::vector<Verb> data_verbs() {
  return {
      {"init",
       "Before a run",
       "write a job for a data file, ready to run",
       "Looks at a file whose columns have names or numbers (CSV and its kin) and writes a job that predicts one of "
       "them: a network and a loss that suit the target, the columns that are categories, dates or no use, what to do "
       "about missing values, and a fifth of the rows kept for testing. Every choice has its reason beside it, to be "
       "changed at will. Nothing is overwritten.",
       {},
       {{"dtrain init --data flats.csv --target price", "Writes job.yaml; then: dtrain run job.yaml."},
        {"dtrain init --data flats.csv --target price -o flats.yaml", "Under another name."}}},
      {"data",
       "Before a run",
       "look at data files, or convert them",
       "`data info` tells what is in a data file, or in the files of a job: rows, columns, types, missing values, "
       "distinct values, ranges, how often each label occurs, rows that occur twice, and test rows that are among the "
       "training rows too. `data convert` writes the rows as they were read to a file that is mapped into memory "
       "(data.format: mapped), which is opened at once however large it is; of a job with a test part, that too, as "
       "NAME.test.rows. What a file is, is told by its first bytes unless flags say it.",
       {{"WHAT", "what to do: info or convert", true, C::choice, {"info", "convert"}, &O::what},
        {"FILE|JOB", "a data file, or a job file in YAML", true, C::file, {}, &O::path}},
       {{"dtrain data info flats.csv", "What is in it?"},
        {"dtrain data info configs/digits.yaml", "What does the job train on?"},
        {"dtrain data convert flats.csv.gz --target price -o flats.rows", "Read once, mapped from then on."}}},
  };
}

std::vector<Verb> before_verbs() {
  return {
      {"check",
       "Before a run",
       "tell every mistake in a job file, and start nothing",
       "Reads the job and reports all mistakes at once, each with its line, a caret, and what was probably meant. If "
       "the job is right, the data is looked at too: missing files, labels out of range, numbers that are none.",
       {job_argument()},
       {{"dtrain check job.yaml", "Exit code 0: a run of it would start."}}},
      {"plan",
       "Before a run",
       "show who would do what: processes, slices, bytes and memory",
       "Shows what a run of the job would look like on this machine: its roles, the slices of the weights, steps and "
       "rows, threads, bytes sent per step and memory per role. Nothing is started.",
       {job_argument()},
       {{"dtrain plan --set topology.servers=2 job.yaml", "See how the weights would lie on two servers."}}},
      {"bench",
       "Before a run",
       "measure how fast this machine trains a job",
       "Runs some steps of the job and prints rows per second, arithmetic per second as a share of what this machine "
       "can do at best, and where the time went: computing, waiting, communicating. No run folder is left.",
       {job_argument()},
       {{"dtrain bench --set train.batch=1024 job.yaml", "See what a larger batch would gain."}}},
      {"simulate",
       "Before a run",
       "see what sync policies would make of stragglers and slow links, in virtual time",
       "Drives the policies that a run would use with workers whose steps take as long as --compute says, over links "
       "of the given latency and bandwidth, and shows them side by side: time per step, how much of the workers' time "
       "is computing, staleness and bytes. Messages weigh what the job's model weighs; without a JOB, nothing. With "
       "--real the job's own gradients are computed, and the loss is shown against virtual time. --steps counts the "
       "steps of every worker, but with --real the batches that are applied: a quorum or subset, which applies a part "
       "of a batch in a step, then takes more steps than that.",
       {{"JOB", "job file in YAML, as dtrain-job(5) describes it", false, C::file, {}, &O::job}},
       {{"dtrain simulate --workers 8 --compute two_point:1,5,0.1 --compare bsp,ssp:3,asp",
         "One step in ten takes five times as long: who waits how long?"},
        {"dtrain simulate --workers 1000 --servers 8 --latency '100 us' --bandwidth '10 Gbit/s' job.yaml",
         "The job's own policy on a thousand workers."},
        {"dtrain simulate --workers 8 --lose 3@20s:60s --compare bsp,quorum:6 job.yaml",
         "Worker 3 is gone after 20 seconds and back after 60."}}},
  };
}

std::vector<Verb> after_verbs() {
  return {
      {"eval",
       "After a run",
       "judge a trained model on data that has labels",
       "Prints the metrics of the model on a run's own test part, or on the rows of --data. How a data file is written "
       "(a CSV file's delimiter, say) is taken from the run, or from --job.",
       {model_argument()},
       {{"dtrain eval runs/mnist", "On the run's own test part."},
        {"dtrain eval runs/iris --data new.csv", "On other rows in the same form."},
        {"dtrain eval model.safetensors --data images.gz --labels labels.gz", "A model file alone, on an IDX pair."}}},
      {"predict",
       "After a run",
       "print a trained model's prediction for every row of a file",
       "Prints one line a row on stdout, in the order of the rows: the class, or the value in its original unit. The "
       "column of the target may be absent from a CSV file.",
       {model_argument()},
       {{"dtrain predict runs/iris --data new.csv > classes.txt", "One class a line."},
        {"dtrain predict --probabilities runs/iris --data new.csv",
         "Class and probabilities, in class order, between tabs."}}},
      {"inspect",
       "After a run",
       "look into a run folder, a checkpoint or a model file",
       "Says what is there and whether it is sound: the tensors of a file with shape, norm, smallest and largest "
       "value; "
       "the state in a checkpoint; results and checkpoints of a run.",
       {{"PATH", "a run's folder, a checkpoint's folder, or a .safetensors file", true, C::path, {}, &O::path}},
       {{"dtrain inspect runs/mnist/model.safetensors", "The tensors of a trained model."},
        {"dtrain inspect runs/mnist/checkpoints/step-400", "What a checkpoint holds."}}},
      {"verify",
       "After a run",
       "check that runs keep what was promised",
       "`verify trace` reads a trace, which a run writes where output.trace is true, and holds it against what its "
       "sync "
       "policy promises: every push applied exactly once, versions in order, nobody further ahead or held back longer "
       "than allowed, the same updates on every server, and checkpoints that hold just the pushes they say. Names the "
       "first event that broke it, and exits with 9. `verify resume` runs a job whole, then again, kills that run "
       "(SIGKILL) at a step drawn from the seed, resumes it, and compares the weights: exit code 9 if they differ. "
       "Under policies that leave the order of pushes to chance (asp, ssp, easgd, gossip) equal weights are promised "
       "to nobody; there it checks that the resumed run ends at its last step and has learned numbers.",
       {{"WHAT", "what to check: trace or resume", true, C::choice, {"trace", "resume"}, &O::what},
        {"FILE|JOB", "a run's trace.jsonl, or a job file in YAML", true, C::file, {}, &O::path}},
       {{"dtrain verify trace runs/mnist/trace.jsonl", "Did it wait for whom it should, and lose nothing?"},
        {"dtrain verify resume configs/digits.yaml", "Would a crash cost more than time?"}}},
      {"compare",
       "After a run",
       "show two finished runs side by side",
       "Prints the results, speed and times of two runs next to each other with their ratio, and whether both ended "
       "with the same weights.",
       {{"A", "folder of a run", true, C::folder, {}, &O::first},
        {"B", "folder of another", true, C::folder, {}, &O::second}},
       {{"dtrain compare runs/mnist runs/mnist-2", "What did the change change?"}}},
      {"report",
       "After a run",
       "write a run's report anew and print its path",
       "Writes report.html in the run's folder: one page with curves, times and settings that needs no network. Works "
       "for unfinished runs too.",
       {run_argument()},
       {{"dtrain report runs/mnist", "Prints runs/mnist/report.html."}}},
  };
}

std::vector<Verb> reference_verbs() {
  return {
      {"explain",
       "Reference",
       "say what a key of a job file means",
       "Explains one key (its type, range, unit, default and meaning), all keys of a section, or, without an argument, "
       "lists every key there is.",
       {{"KEY", "a key or a section, such as train.optimizer", false, C::key, {}, &O::key}},
       {{"dtrain explain train.optimizer.learning_rate", "One key."},
        {"dtrain explain train.optimizer", "A section."}}},
      {"schema",
       "Reference",
       "print the JSON Schema of job files, for editors",
       "Prints a JSON Schema (2020-12). An editor with a YAML language server completes and checks jobs with it.",
       {},
       {{"dtrain schema > job.schema.json", "Then name it in the editor's settings for YAML."}}},
      {"completions",
       "Reference",
       "print the completion script of a shell",
       "Prints a script that teaches the shell dtrain's verbs, flags, files and keys.",
       {{"SHELL", "bash, zsh or fish", true, C::choice, {"bash", "zsh", "fish"}, &O::shell}},
       {{"source <(dtrain completions bash)", "For this shell; write it to a file for all to come."}}},
      {"man",
       "Reference",
       "print a manual page in the form that man(1) reads",
       "Prints the source of a manual page, made from the same tables as the program itself.",
       {{"PAGE", "dtrain.1 or dtrain-job.5", true, C::choice, {"dtrain.1", "dtrain-job.5"}, &O::page}},
       {{"dtrain man dtrain-job.5 | man -l -", "Read about every key of a job file."}}},
  };
}

std::vector<Verb> all_verbs() {
  std::vector<Verb> all;
  for (auto part : {training_verbs(), data_verbs(), before_verbs(), after_verbs(), reference_verbs()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<Flag> all_flags() {
  const std::vector<std::string> joining = {"worker", "server", "loader"}, judging = {"eval", "predict"};
  return {
      {"connect",
       '\0',
       "ENDPOINT",
       "where the run listens, as it printed it: tcp://HOST:PORT",
       joining,
       true,
       C::none,
       {},
       &O::connect},
      {"out",
       '\0',
       "DIR",
       "folder of the run (default: output.dir and the job's name)",
       {"run"},
       false,
       C::folder,
       {},
       &O::out},
      {"resume",
       '\0',
       "",
       "go on if the folder of --out holds a checkpoint; begin anew if not",
       {"run"},
       false,
       C::none,
       {},
       &O::resume},
      {"record",
       '\0',
       "",
       "write down the order of all pushes and pulls, as output.trace does, for --replay and verify",
       {"run", "resume"},
       false,
       C::none,
       {},
       &O::record},
      {"replay",
       '\0',
       "FILE",
       "a trace.jsonl of this very job: repeat its order of pushes and pulls, to the same weights",
       {"run"},
       false,
       C::file,
       {},
       &O::replay},
      {"chaos",
       '\0',
       "SPEC",
       "make faults on purpose: ACTION[:WHO][@STEP or @~PROBABILITY][:TIME or :COUNT], several separated by commas; "
       "kill, stop, delay, drop, duplicate, cut, disk; worker.1, server.*, worker.?, coordinator; seed=N",
       {"run", "resume"},
       false,
       C::none,
       {},
       &O::chaos},
      {"max-time",
       '\0',
       "T",
       "save a checkpoint and exit with 75 after this time, such as \"90 s\" or \"2 h\"",
       {"run", "resume"},
       false,
       C::none,
       {},
       &O::max_time},
      {"listen",
       '\0',
       "ENDPOINT",
       "where roles from outside may join: tcp://ADDRESS:PORT, with * for any free port",
       {"run", "resume"},
       false,
       C::none,
       {},
       &O::listen},
      {"token-file",
       '\0',
       "FILE",
       "the run's key and secret: run writes the file, those who join read it; - is their standard input",
       {"run", "resume", "worker", "server", "loader"},
       false,
       C::file,
       {},
       &O::token_file},
      {"token-fd",
       '\0',
       "N",
       "read the token from this open file descriptor",
       joining,
       false,
       C::none,
       {},
       &O::token_fd},
      {"insecure",
       '\0',
       "",
       "allow a connection to other hosts that is neither encrypted nor authenticated",
       {"run", "resume", "worker", "server", "loader"},
       false,
       C::none,
       {},
       &O::insecure},
      {"data-dir",
       '\0',
       "DIR",
       "look for the data here instead of in the job's data.dir",
       joining,
       false,
       C::folder,
       {},
       &O::data_dir},
      {"join-within",
       '\0',
       "T",
       "give up if the run has not let us in by then (default: 60 s)",
       joining,
       false,
       C::none,
       {},
       &O::join_within},
      {"data", '\0', "FILE", "the rows that the job is to be for", {"init"}, true, C::file, {}, &O::data},
      {"target",
       '\0',
       "COLUMN",
       "the column to predict: its name, or its number from 1",
       {"init"},
       true,
       C::none,
       {},
       &O::target},
      {"output", 'o', "FILE", "where the job is written (default: job.yaml)", {"init"}, false, C::file, {}, &O::file},
      {"output", 'o', "FILE", "convert: where the rows are written", {"data"}, false, C::file, {}, &O::file},
      {"format",
       '\0',
       "FORMAT",
       "what the file is (default: told by its first bytes)",
       {"data"},
       false,
       C::choice,
       {"csv", "tsv", "libsvm", "idx", "npy"},
       &O::format},
      {"target", '\0', "COLUMN", "the column to predict (default: the last)", {"data"}, false, C::none, {}, &O::target},
      {"delimiter", '\0', "CHAR", "what stands between two fields", {"data"}, false, C::none, {}, &O::delimiter},
      {"no-header", '\0', "", "the first line is a row", {"data"}, false, C::none, {}, &O::no_header},
      {"labels", '\0', "FILE", "the labels of IDX or NPY features", {"data"}, false, C::file, {}, &O::labels},
      {"data", '\0', "FILE", "rows to use instead of the run's test part", {"eval"}, false, C::file, {}, &O::data},
      {"data", '\0', "FILE", "rows to predict", {"predict"}, true, C::file, {}, &O::data},
      {"labels",
       '\0',
       "FILE",
       "the labels that go with --data, where they are a file of their own (IDX)",
       judging,
       false,
       C::file,
       {},
       &O::labels},
      {"job",
       '\0',
       "JOB",
       "job file that says how the data is written (default: the run's own)",
       judging,
       false,
       C::file,
       {},
       &O::data_job},
      {"probabilities",
       '\0',
       "",
       "after the class, the probability of every class, between tabs",
       {"predict"},
       false,
       C::none,
       {},
       &O::probabilities},
      {"steps",
       '\0',
       "K",
       "how many steps to time (default: as many as a few seconds allow)",
       {"bench"},
       false,
       C::none,
       {},
       &O::steps},
      {"workers", '\0', "N", "how many workers (default: the job's)", {"simulate"}, false, C::none, {}, &O::workers},
      {"servers",
       '\0',
       "M",
       "how many servers, at most 1024 (default: the job's, or 1)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::servers},
      {"steps",
       '\0',
       "K",
       "steps of every worker or, with --real, batches of all together (default: the job's, or 1000)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::steps},
      {"compute",
       '\0',
       "DIST",
       "seconds that a step takes: constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or "
       "trace:FILE, a line for a step and a column for a rank, which both start again at the end (default: constant:1)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::compute},
      {"latency",
       '\0',
       "T",
       "of every message, such as \"1 ms\" (default: 0)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::latency},
      {"bandwidth",
       '\0',
       "B",
       "of every node's link, each way, such as \"10 Gbit/s\" (default: without end)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::bandwidth},
      {"compare",
       '\0',
       "POLICIES",
       "which, between commas: bsp, asp, ssp:3, ssp:3:eager, quorum:3, subset:2, local:10, easgd:10, bmuf:10, "
       "adaptive:0-10, adaptive:period:1-10, sign_vote, gossip, each at most once (default: the job's)",
       {"simulate"},
       false,
       C::none,
       {},
       &O::compare},
      {"lose",
       '\0',
       "RANK@TIME[:TIME]",
       "a worker is lost at a time, and comes back at another; may be given many times",
       {"simulate"},
       false,
       C::none,
       {},
       &O::lose},
      {"real",
       '\0',
       "",
       "compute the job's own gradients too, and show the loss against virtual time",
       {"simulate"},
       false,
       C::none,
       {},
       &O::real},
      {"trace",
       '\0',
       "FILE",
       "write down every push, pull, release and application of the one policy that is simulated",
       {"simulate"},
       false,
       C::file,
       {},
       &O::trace},
      {"at",
       '\0',
       "STEP",
       "resume: kill the run at this step (default: drawn from the seed, after the first checkpoint)",
       {"verify"},
       false,
       C::none,
       {},
       &O::at},
      {"set",
       '\0',
       "KEY=VALUE",
       "give a key of the job another value; may be given many times",
       {"run", "resume", "check", "plan", "bench", "simulate", "eval", "predict", "verify", "data"},
       false,
       C::assignment,
       {},
       &O::set},
      {"json", '\0', "", "print one JSON document on stdout instead of text", {}, false, C::none, {}, &O::json},
      {"quiet", 'q', "", "nothing on stderr but warnings and errors", {}, false, C::none, {}, &O::quiet},
      {"verbose", 'v', "", "tell more on stderr", {}, false, C::none, {}, &O::verbose},
      {"color",
       '\0',
       "WHEN",
       "auto, always or never (auto: on a terminal, unless NO_COLOR is set)",
       {},
       false,
       C::choice,
       {"auto", "always", "never"},
       &O::color},
      {"help", 'h', "", "show help, also for one verb, and exit", {}, false, C::none, {}, &O::help},
      {"version", '\0', "", "show the version and exit", {}, false, C::none, {}, &O::version},
  };
}

}  // namespace

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = all_verbs();
  return all;
}

const std::vector<Flag>& flags() {
  static const std::vector<Flag> all = all_flags();
  return all;
}

const std::vector<ExitCode>& exit_codes() {
  static const std::vector<ExitCode> all = {
      {"0", "Done; early stop included."},
      {"1", "A fault of dtrain's own."},
      {"2", "The command line is wrong."},
      {"3", "The job file is wrong."},
      {"4", "The data is wrong."},
      {"5", "The environment: disk, port, memory, permissions."},
      {"6", "The cluster did not form."},
      {"7", "A role was lost beyond what the job allows."},
      {"8", "The numbers diverged."},
      {"9", "An assertion of the job, or a comparison, failed."},
      {"10", "A checkpoint or a model file cannot be used."},
      {"75", "Out of time (--max-time); can be resumed."},
      {"128+n", "Ended by signal n."},
  };
  return all;
}

const Verb* find_verb(std::string_view name) {
  const auto found = std::find_if(verbs().begin(), verbs().end(), [&](const Verb& verb) { return verb.name == name; });
  return found == verbs().end() ? nullptr : &*found;
}

std::vector<const Flag*> own_flags(const Verb& verb) {
  std::vector<const Flag*> own;
  for (const Flag& flag : flags())
    if (std::find(flag.verbs.begin(), flag.verbs.end(), verb.name) != flag.verbs.end()) own.push_back(&flag);
  return own;
}

std::vector<const Flag*> global_flags() {
  std::vector<const Flag*> global;
  for (const Flag& flag : flags())
    if (flag.global()) global.push_back(&flag);
  return global;
}

std::string synopsis(const Verb& verb) {
  std::string text;
  for (const Flag* flag : own_flags(verb))
    if (flag->required) text += fmt::format("--{} {} ", flag->name, flag->value);
  text += "[FLAGS]";
  for (const Argument& argument : verb.arguments)
    text += argument.required ? " " + argument.value : " [" + argument.value + "]";
  return text;
}

std::string spelled(const Flag& flag) {
  const std::string letter = flag.letter == '\0' ? "    " : fmt::format("-{}, ", flag.letter);
  return letter + "--" + flag.name + (flag.is_switch() ? "" : " " + flag.value);
}

}  // namespace dtrain::cli
