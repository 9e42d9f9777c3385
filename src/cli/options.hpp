#pragma once
/// All that a command line can say, as one plain struct: what a verb is given.
///
/// Filled by parse() from the catalogue, which names every field below exactly once.

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/time.hpp"

namespace dtrain::cli {

struct Options {
  std::string verb;

  // Arguments.
  std::string job;            ///< run, check, plan, bench, simulate: a job file
  std::string run;            ///< resume, report: a run's folder
  std::string model;          ///< eval, predict: a run's folder or a model file
  std::string path;           ///< inspect, verify, data
  std::string what;           ///< verify: what to check; data: what to do
  std::string first, second;  ///< compare: two runs' folders
  std::string key;            ///< explain: a key, a section, or ""
  std::string shell;          ///< completions
  std::string page;           ///< man

  // Flags of single verbs.
  std::string out;         ///< --out, "" if not given
  std::string listen;      ///< --listen, "" if not given
  std::string connect;     ///< --connect, never "" where a verb has it
  std::string token_file;  ///< --token-file, "" if not given
  std::string token_fd;    ///< --token-fd, "" if not given
  std::string data_dir;    ///< --data-dir, "" if not given
  std::string data;        ///< --data, "" if not given
  std::string target;      ///< --target, "" if not given
  std::string file;        ///< --output, "" if not given
  std::string format;      ///< --format, "" if not given
  std::string delimiter;   ///< --delimiter, "" if not given
  bool no_header = false;
  std::string labels;            ///< --labels, "" if not given
  std::string data_job;          ///< --job, "" if not given
  std::vector<std::string> set;  ///< --set, in order
  Seconds max_time{0};           ///< --max-time; 0: no limit
  Seconds join_within{60};       ///< --join-within
  std::int64_t steps = 0;        ///< --steps; 0: not given
  std::int64_t at = 0;           ///< --at; 0: not given
  std::int64_t workers = 0;      ///< --workers; 0: not given
  std::int64_t servers = 0;      ///< --servers; 0: not given
  std::string compute = "constant:1";
  std::string latency;               ///< --latency, "" if not given
  std::string bandwidth;             ///< --bandwidth, "" if not given
  std::vector<std::string> compare;  ///< --compare, at most once
  std::string trace;                 ///< --trace, "" if not given
  std::string replay;                ///< --replay, "" if not given
  std::vector<std::string> lose;     ///< --lose, in order
  std::string chaos;                 ///< --chaos, "" if not given
  bool real = false;
  bool resume = false;
  bool record = false;
  bool insecure = false;
  bool probabilities = false;

  // Flags of every verb.
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string color = "auto";
  bool help = false;
  bool version = false;
};

/// -q wins over -v.
Level level(const Options& options);

/// Whether escape codes may be written to `descriptor`: as --color says; `auto`: it is a terminal and NO_COLOR is unset
/// or empty.
bool use_color(const Options& options, int descriptor);

}  // namespace dtrain::cli
