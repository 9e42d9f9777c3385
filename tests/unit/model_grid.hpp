#pragma once
/// A split network in one process: a thread for each cell, and mail between them in memory.

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include "model_support.hpp"

namespace model_support {

/// What one cell sent another. After close() nobody waits any more.
template <class Real>
class Mail {
 public:
  enum class Kind { inputs, delta, block };
  struct Address {
    Kind kind;
    int from, to, micro;
    auto operator<=>(const Address&) const = default;
  };

  void put(const Address& address, View<const Real> values) {
    std::vector<Real> copy;
    for (Index r = 0; r < values.rows; ++r) copy.insert(copy.end(), values.row(r), values.row(r) + values.cols);
    const std::lock_guard lock(mutex_);
    queues_[address].push_back(std::move(copy));
    changed_.notify_all();
  }

  std::optional<std::vector<Real>> take(const Address& address) {
    std::unique_lock lock(mutex_);
    std::deque<std::vector<Real>>& queue = queues_[address];
    changed_.wait(lock, [&] { return closed_ || !queue.empty(); });
    if (queue.empty()) return {};
    std::vector<Real> values = std::move(queue.front());
    queue.pop_front();
    return values;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Address, std::deque<std::vector<Real>>> queues_;
  bool closed_ = false;
};

/// Keeps to the contract to the letter: what is taken is spoilt as soon as it need not stay any longer.
template <class Real>
class MailNeighbours : public Neighbours<Real> {
 public:
  MailNeighbours(const Cell& cell, Mail<Real>& mail) : cell_(cell), mail_(mail) {}

  std::optional<View<const Real>> take_inputs(int micro, Index rows, Index cols) override {
    return taken(mail_.take({Kind::inputs, at(-1, cell_.rank), at(0, cell_.rank), micro}), inputs_[micro], rows, cols);
  }
  void give_outputs(int micro, View<const Real> outputs) override {
    mail_.put({Kind::inputs, at(0, cell_.rank), at(1, cell_.rank), micro}, outputs);
    keep(outputs);
    in_flight = std::max(in_flight, ++open_);
  }
  std::optional<View<const Real>> take_output_gradient(int micro, Index rows, Index cols) override {
    --open_;
    return taken(mail_.take({Kind::delta, at(1, cell_.rank), at(0, cell_.rank), micro}), delta_, rows, cols);
  }
  void give_input_gradient(int micro, View<const Real> delta) override {
    mail_.put({Kind::delta, at(0, cell_.rank), at(-1, cell_.rank), micro}, delta);
    keep(delta);
  }
  void done(int micro) override { spoil(inputs_.at(micro)); }

  std::optional<std::span<const View<const Real>>> exchange(View<const Real> own,
                                                            std::span<const Index> cols) override {
    right_sizes =
        right_sizes && std::ssize(cols) == cell_.ranks && own.cols == cols[static_cast<std::size_t>(cell_.rank)];
    numbers_sent += own.rows * own.cols * (cell_.ranks - 1);
    ++exchanges;
    for (int t = 0; t < cell_.ranks; ++t) mail_.put({Kind::block, at(0, cell_.rank), at(0, t), 0}, own);
    blocks_.resize(static_cast<std::size_t>(cell_.ranks));
    views_.clear();
    for (int t = 0; t < cell_.ranks; ++t) {
      const auto u = static_cast<std::size_t>(t);
      const auto view = taken(mail_.take({Kind::block, at(0, t), at(0, cell_.rank), 0}), blocks_[u], own.rows, cols[u]);
      if (!view) return {};
      views_.push_back(*view);
    }
    return views_;
  }

  int in_flight = 0;  ///< the most outputs given whose gradient was not asked for
  int exchanges = 0;
  Index numbers_sent = 0;  ///< within the group
  bool right_sizes = true;
  std::vector<Real> given;  ///< to other stages

 private:
  using Kind = typename Mail<Real>::Kind;
  int at(int stages_away, int rank) const { return (cell_.stage + stages_away) * cell_.ranks + rank; }
  void keep(View<const Real> values) {
    for (Index r = 0; r < values.rows; ++r) given.insert(given.end(), values.row(r), values.row(r) + values.cols);
  }
  static void spoil(std::vector<Real>& values) { std::fill(values.begin(), values.end(), Real(1e30)); }
  std::optional<View<const Real>> taken(std::optional<std::vector<Real>> from, std::vector<Real>& to, Index rows,
                                        Index cols) {
    spoil(to);
    if (!from) return {};
    right_sizes = right_sizes && std::ssize(*from) == rows * cols;
    to = std::move(*from);
    return View<const Real>(to.data(), rows, cols);
  }

  Cell cell_;
  Mail<Real>& mail_;
  std::map<int, std::vector<Real>> inputs_;
  std::vector<Real> delta_;
  std::vector<std::vector<Real>> blocks_;
  std::vector<View<const Real>> views_;
  int open_ = 0;
};

/// What a cell made of a step.
template <class Real>
struct Outcome {
  Layout layout;
  std::vector<Real> gradient;
  std::vector<Real> given;  ///< outputs and gradients by inputs, to other stages
  double loss_sum = 0;
  bool completed = false, right_sizes = false;
  int in_flight = 0, exchanges = 0;
  Index numbers_sent = 0;
  std::size_t bytes = 0;
  double flops = 0;
};

struct Course {
  job::PipelineSchedule schedule = job::PipelineSchedule::one_f_one_b;
  int micro_batches = 1;
  int threads = 1;
  int steps = 1;  ///< each on the same rows
};

/// The weights of a cell, from those of the whole.
template <class Real>
std::vector<Real> part_of_weights(const Layout& layout, const std::vector<Real>& whole) {
  const std::vector<float> from(whole.begin(), whole.end());
  std::vector<float> part(static_cast<std::size_t>(layout.total));
  take_part(layout, {0, layout.total}, from, part);
  return {part.begin(), part.end()};
}

/// The batch, with memory of one's own for the gradient of touched rows where it is sparse.
template <class Real>
Batch<Real> with_own_gradient(Batch<Real> batch, const Layout& layout, std::vector<Real>& memory) {
  if (!batch.sparse) return batch;
  memory.assign(static_cast<std::size_t>(batch.sparse->touched->count() * layout.tensors.front().cols), Real(1e30));
  batch.sparse->first_gradient = memory;
  batch.sparse->fills_gradient = true;
  return batch;
}

/// Drives the cells of a grid through steps over the whole batch. `events_of(c)` are those of cell c; what it abandons
/// ends the others' waits.
template <class Real>
std::vector<Outcome<Real>> run_cells(const Problem<Real>& problem, const std::vector<Cell>& cells, const Course& course,
                                     const Batch<Real>& batch, std::vector<LayerEvents*> events_of = {}) {
  Mail<Real> mail;
  std::vector<Outcome<Real>> outcomes(cells.size());
  std::vector<std::thread> threads;
  const auto drive = [&](std::size_t c) {
    const Cell& cell = cells[c];
    MailNeighbours<Real> neighbours(cell, mail);
    Network<Real> network(problem.model, problem.width, problem.rows, course.threads,
                          {cell, course.schedule, course.micro_batches, &neighbours});
    Outcome<Real>& to = outcomes[c];
    to.layout = network.layout();
    const auto weights = part_of_weights(to.layout, problem.weights);
    LayerEvents none;
    std::vector<Real> touched_gradient;
    Batch<Real> own = batch;
    if (!cell.first()) own.features.data = nullptr, own.sparse.reset();
    own = with_own_gradient(own, to.layout, touched_gradient);
    if (!cell.last()) own.targets = {};
    for (int s = 0; s < course.steps; ++s) {
      to.gradient.assign(weights.size(), Real(1e30));
      const auto result = network.train_step(own, weights, to.gradient, key, events_of.empty() ? none : *events_of[c],
                                             course.micro_batches);
      to.loss_sum = result.loss_sum;
      to.completed = result.completed;
      if (!result.completed) mail.close();
    }
    to.given = neighbours.given;
    to.right_sizes = neighbours.right_sizes;
    to.in_flight = neighbours.in_flight;
    to.exchanges = neighbours.exchanges;
    to.numbers_sent = neighbours.numbers_sent;
    to.bytes = network.bytes();
    to.flops = network.flops_per_row();
  };
  for (std::size_t c = 0; c < cells.size(); ++c) threads.emplace_back(drive, c);
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

/// Where ranks of a group are cut: `turned` is a cut at other places.
inline std::vector<Index> even_borders(Index count, int ranks, bool turned = false) {
  std::vector<Index> borders;
  for (Index t = 0; t <= ranks; ++t)
    borders.push_back(turned ? count - count * (ranks - t) / ranks : count * t / ranks);
  return borders;
}

inline LayerCut cut_of(job::LayerSplit form, Index in, Index out, int ranks, bool turned = false) {
  if (form == job::LayerSplit::output) return {true, even_borders(out, ranks, turned)};
  if (form == job::LayerSplit::input) return {false, even_borders(in, ranks, turned)};
  std::vector<Index> all(static_cast<std::size_t>(ranks) + 1, in);
  all.front() = 0;
  return {false, all};
}

/// All cells of a grid: stages by the layers with which they begin (and the end), forms by layer.
inline std::vector<Cell> cells_of(const job::Model& model, Index width, const std::vector<int>& stages, int ranks,
                                  const std::vector<job::LayerSplit>& forms, bool turned = false) {
  std::vector<Cell> cells;
  const int count = static_cast<int>(stages.size()) - 1;
  for (int s = 0; s < count; ++s)
    for (int t = 0; t < ranks; ++t) {
      const auto u = static_cast<std::size_t>(s);
      Cell cell{s, count, t, ranks, stages[u], stages[u + 1], {}};
      for (int l = cell.first_layer; ranks > 1 && l < cell.end_layer; ++l) {
        const auto v = static_cast<std::size_t>(l);
        cell.cuts.push_back(
            cut_of(forms[v], inputs_of(model, width, l), model.layers[v].dense, ranks, turned && !cell.cuts.empty()));
      }
      cells.push_back(cell);
    }
  return cells;
}

/// Begins of so many stages, with as many layers each as can be.
inline std::vector<int> even_stages(const job::Model& model, int stages) {
  std::vector<int> begins;
  for (int s = 0; s <= stages; ++s) begins.push_back(static_cast<int>(std::ssize(model.layers)) * s / stages);
  return begins;
}

/// The element of the whole network that element k of a tensor of a cell is.
inline std::size_t element_of(const Tensor& tensor, Index k) {
  const Index row = tensor.whole.first_row + k / tensor.cols, col = tensor.whole.first_col + k % tensor.cols;
  return static_cast<std::size_t>(tensor.whole.offset + row * tensor.whole.cols + col);
}

/// The gradient of the whole from those of all cells; elements that lie in none of them stay a nonsense.
template <class Real>
std::vector<Real> put_together(const std::vector<Outcome<Real>>& outcomes, std::size_t total) {
  std::vector<Real> whole(total, Real(-1e30));
  for (const Outcome<Real>& outcome : outcomes)
    for (const Tensor& tensor : outcome.layout.tensors)
      for (Index k = 0; k < tensor.count(); ++k)
        whole[element_of(tensor, k)] = outcome.gradient[static_cast<std::size_t>(tensor.offset + k)];
  return whole;
}

}  // namespace model_support
