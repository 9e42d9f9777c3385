#pragma once
/// Evaluation and checkpoints beside training: the one thread of a coordinator that owns no socket.
///
/// It earns its place: an fsync or ten thousand test rows may take longer than a heartbeat. Snapshots are handed over
/// whole and results come back in order; the descriptor is readable while a result waits.

#include <condition_variable>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "role/chaos_spec.hpp"
#include "role/evaluate.hpp"
#include "store/checkpoint.hpp"

namespace dtrain::role {

struct Snapshot {
  bool evaluate = false, save = false, last = false;
  store::State state;         ///< moments only if `save`
  std::uint64_t ordinal = 0;  ///< as Cut::ordinal
};

struct AsideResult {
  Snapshot snapshot;
  Scores scores;                ///< empty unless evaluated
  std::filesystem::path saved;  ///< "" unless saved
  double evaluate_seconds = 0, save_seconds = 0;
  std::string chaos;  ///< the fault that was made on purpose, if one was
  std::exception_ptr failure;
};

class Aside {
 public:
  /// `run`: the folder that checkpoints go to. The test rows are loaded on the thread, when they are first needed.
  /// `faults`: of which those of the disk are made here, checkpoint by checkpoint.
  Aside(const job::Job& job, const data::Survey& survey, std::filesystem::path run, FaultClock faults = {});
  ~Aside();  ///< finishes what it is at, and drops the rest
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  /// A save that has not begun yet is passed over for this newer one.
  void hand_over(Snapshot snapshot);
  int descriptor() const { return event_; }
  std::optional<AsideResult> next();
  /// Blocks until there is a result; only when something was handed over that has not come back.
  AsideResult wait();
  std::size_t outstanding() const { return outstanding_; }
  int passed_over() const { return passed_over_; }

 private:
  void run();
  AsideResult process(Snapshot snapshot);
  void pass_over_saves();
  void fill_disk(AsideResult& result);
  job::Job job_;
  data::Survey survey_;
  std::filesystem::path run_;
  FaultClock faults_;        ///< of the thread
  std::uint64_t begun_ = 0;  ///< checkpoints; of the thread
  std::unique_ptr<data::Rows> rows_;
  std::optional<Evaluator> evaluator_;
  int event_;
  std::size_t outstanding_ = 0;  ///< of the owner's thread
  int passed_over_ = 0;          ///< of the owner's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Snapshot> waiting_;
  std::deque<AsideResult> done_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace dtrain::role
