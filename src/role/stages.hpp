#pragma once
/// The stages of a loader under `staged`: rows are read by one thread and encoded by another, in the order in which
/// they were asked for, with a bounded queue between the two.

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/data.hpp"
#include "data/table.hpp"
#include "role/bounded_queue.hpp"

namespace dtrain::role {

/// Who asked for which rows.
struct RowOrder {
  std::size_t door = 0;
  std::string peer;
  std::uint64_t number = 0;
  std::vector<std::uint32_t> rows;
};

/// What goes out: features row by row, then the targets.
struct EncodedBatch {
  RowOrder order;
  std::vector<float> values;
};

class Stages {
 public:
  /// `rows` and `encoding` outlive this. `room`: of the queue between the stages.
  Stages(const data::Rows& rows, const data::Encoding& encoding, std::size_t room);
  ~Stages();
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;

  /// Never blocks: how many may ask is the workers' bound (data.ahead).
  void put(RowOrder order);
  /// The next that is done, if there is one; throws what went wrong in a stage.
  std::optional<EncodedBatch> take();
  /// Readable when there may be one.
  int descriptor() const { return ready_; }

  /// How long each stage has been busy.
  double read_seconds() const { return read_seconds_; }
  double transform_seconds() const { return transform_seconds_; }

 private:
  struct Read {
    RowOrder order;
    data::Table table;
  };
  void read();
  void transform();
  void guard(void (Stages::*stage)());
  void tell();

  const data::Rows& rows_;
  const data::Encoding& encoding_;
  int ready_;  ///< eventfd
  BoundedQueue<RowOrder> orders_;
  BoundedQueue<Read> read_;
  BoundedQueue<EncodedBatch> done_;
  std::atomic<double> read_seconds_ = 0, transform_seconds_ = 0;
  std::mutex failing_;
  std::exception_ptr failure_;
  std::thread reader_, transformer_;
};

}  // namespace dtrain::role
