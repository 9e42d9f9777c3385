#include "plan/splitting.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"

namespace dtrain::plan {
namespace {

using model::LayerCut;

// A rough machine, to compare ways to cut and nothing else: what a rank computes in dense products, what passes from
// process to process on one machine, and how long it takes all of a group to wait for each other.
constexpr double flops_per_second = 50e9;
constexpr double bytes_per_second = 5e9;
constexpr double seconds_of_exchange = 50e-6;

constexpr std::size_t forms = 3;  // of job::LayerSplit, but for automatic
constexpr std::array<job::LayerSplit, forms> all_forms{job::LayerSplit::input, job::LayerSplit::output,
                                                       job::LayerSplit::none};

// What is no shorter than this share of another time is as long as it: of such ways the first is taken.
constexpr double tie = 1 - 1e-9;

const job::Layer& layer_of(const job::Model& model, int l) { return model.layers[static_cast<std::size_t>(l)]; }

/// The greatest cost of a stage, and what breaks ties.
using Load = std::pair<double, double>;

std::vector<int> named_stages(const job::Model& model, int stages) {
  std::vector<int> firsts(static_cast<std::size_t>(stages) + 1, static_cast<int>(model.layers.size()));
  for (int l = static_cast<int>(model.layers.size()) - 1; l >= 0; --l)
    firsts[static_cast<std::size_t>(*layer_of(model, l).stage - 1)] = l;
  return firsts;
}

LayerCut cut_of(job::LayerSplit form, Index in, Index out, int ranks) {
  if (form == job::LayerSplit::output) return {true, equal_borders(out, ranks)};
  if (form == job::LayerSplit::input) return {false, equal_borders(in, ranks)};
  LayerCut cut{false, std::vector<Index>(static_cast<std::size_t>(ranks) + 1, in)};
  cut.borders.front() = 0;
  return cut;
}

Index greatest_share(const LayerCut& cut) {
  Index most = 0;
  for (std::size_t t = 0; t + 1 < cut.borders.size(); ++t) most = std::max(most, cut.borders[t + 1] - cut.borders[t]);
  return most;
}

/// How many ranks have a part.
Index sharers(const LayerCut& cut) {
  Index count = 0;
  for (std::size_t t = 0; t + 1 < cut.borders.size(); ++t) count += cut.borders[t + 1] > cut.borders[t] ? 1 : 0;
  return count;
}

Exchanges operator+(const Exchanges& a, const Exchanges& b) { return {a.columns + b.columns, a.count + b.count}; }
Exchanges once(Index columns) { return {columns, 1}; }

/// Between a layer and the one below it in the stage, if there is one: its inputs, and the gradient by them.
Exchanges below(const LayerCut* under, const LayerCut& cut, Index in, bool needs_gradient) {
  const bool columns = under != nullptr && under->by_output;
  const bool fits = columns && !cut.by_output && under->borders == cut.borders;
  Exchanges all;
  if (columns && !fits) all = all + once(in);
  if (needs_gradient && cut.by_output) all = all + once(in * sharers(cut));
  if (needs_gradient && !cut.by_output && !fits) all = all + once(in);
  return all;
}

/// What a layer's outputs are made of.
Exchanges sum_of(const LayerCut& cut, Index out) { return cut.by_output ? Exchanges{} : once(out * sharers(cut)); }

/// What leaves a stage is whole at every rank.
Exchanges leaving(const LayerCut& last, Index out) { return last.by_output ? once(out) : Exchanges{}; }

double seconds(const Exchanges& exchanges, Index rows) {
  return 4.0 * double(exchanges.columns * rows) / bytes_per_second + exchanges.count * seconds_of_exchange;
}

/// Chooses the forms of a stage's layers from below: the least time up to each layer, by its form and by whether any
/// layer so far is shared at all.
class Cutter {
 public:
  Cutter(const job::Model& model, Index width, const StageShape& stage, int ranks)
      : model_(model), width_(width), stage_(stage), ranks_(ranks), flops_(layer_flops(model, width)) {}

  std::vector<LayerCut> choose() {
    for (int l = stage_.first_layer; l < stage_.end_layer; ++l) extend(l);
    return walk_back(best_end());
  }

 private:
  struct State {
    double time = std::numeric_limits<double>::infinity();
    std::size_t from = 0;  ///< of the layer below
  };
  static constexpr std::size_t states = 2 * forms;  // form, and + forms where a layer so far is shared
  using Row = std::array<State, states>;

  Index in(int l) const { return model::inputs_of(model_, width_, l); }
  Index out(int l) const { return layer_of(model_, l).dense; }
  LayerCut cut(int l, std::size_t form) const { return cut_of(all_forms[form % forms], in(l), out(l), ranks_); }
  static bool shares(std::size_t form) { return all_forms[form % forms] != job::LayerSplit::none; }

  bool fits(int l, job::LayerSplit form) const {
    if (form == job::LayerSplit::none) return true;
    return (form == job::LayerSplit::output ? out(l) : in(l)) >= ranks_;
  }

  bool allowed(int l, job::LayerSplit form) const {
    const job::LayerSplit given = layer_of(model_, l).split;
    if (given != job::LayerSplit::automatic) return form == given;
    if (l == 0 && stage_.sparse && fits(0, job::LayerSplit::output)) return form == job::LayerSplit::output;
    return fits(l, form);
  }

  void check(int l) const {
    const job::LayerSplit given = layer_of(model_, l).split;
    if (given == job::LayerSplit::automatic || fits(l, given)) return;
    const bool by_output = given == job::LayerSplit::output;
    fail(Kind::job,
         "model.layers[{}].split is {}, but the layer has only {} {}s for {} tensor ranks: set it to auto, or "
         "topology.split.tensor to {} or less",
         l, by_output ? "output" : "input", by_output ? out(l) : in(l), by_output ? "output" : "input", ranks_,
         by_output ? out(l) : in(l));
  }

  double time_of(int l, const LayerCut* under, const LayerCut& cut) const {
    const double share = double(greatest_share(cut)) / double(cut.borders.back());
    return flops_[static_cast<std::size_t>(l)] * share * double(stage_.rows) / flops_per_second +
           seconds(below(under, cut, in(l), l > 0) + sum_of(cut, out(l)), stage_.rows);
  }

  void extend(int l) {
    check(l);
    Row row;
    for (std::size_t form = 0; form < forms; ++form)
      if (allowed(l, all_forms[form])) reach(l, form, row);
    table_.push_back(row);
  }

  void reach(int l, std::size_t form, Row& row) const {
    const LayerCut above = cut(l, form);
    if (table_.empty()) {
      row[form + (shares(form) ? forms : 0)] = {time_of(l, nullptr, above), 0};
      return;
    }
    for (std::size_t from = 0; from < states; ++from) {
      if (std::isinf(table_.back()[from].time)) continue;
      const LayerCut under = cut(l - 1, from);
      State& state = row[form + (from >= forms || shares(form) ? forms : 0)];
      const double time = table_.back()[from].time + time_of(l, &under, above);
      if (time < tie * state.time) state = {time, from};
    }
  }

  std::size_t best_end() const {
    const int last = stage_.end_layer - 1;
    std::size_t best = states;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t end = forms; end < states; ++end) {
      const double time = table_.back()[end].time + seconds(leaving(cut(last, end), out(last)), stage_.rows);
      if (time < tie * least) least = time, best = end;
    }
    if (best == states) refuse();
    return best;
  }

  std::vector<LayerCut> walk_back(std::size_t state) const {
    std::vector<LayerCut> cuts(table_.size());
    for (std::size_t i = table_.size(); i-- > 0;) {
      cuts[i] = cut(stage_.first_layer + static_cast<int>(i), state);
      state = table_[i][state].from;
    }
    return cuts;
  }

  /// No layer is shared: most ranks would have nothing.
  [[noreturn]] void refuse() const {
    Index widest = 0;
    for (int l = stage_.first_layer; l < stage_.end_layer; ++l)
      if (layer_of(model_, l).split == job::LayerSplit::automatic) widest = std::max({widest, in(l), out(l)});
    const std::string which = stage_.end_layer - stage_.first_layer == 1
                                  ? fmt::format("layer {}", stage_.first_layer)
                                  : fmt::format("layers {} to {}", stage_.first_layer, stage_.end_layer - 1);
    fail(Kind::job,
         "some of the {} tensor ranks would have no weight of {}, none of which is {}: set topology.split.tensor to {} "
         "or less{}",
         ranks_, which, widest == 0 ? "split" : "that wide", std::max<Index>(1, widest),
         widest == 0 ? ", or split of one of them to auto" : "");
  }

  const job::Model& model_;
  Index width_;
  StageShape stage_;
  int ranks_;
  std::vector<double> flops_;
  std::vector<Row> table_;
};

}  // namespace

std::vector<double> layer_flops(const job::Model& model, Index width) {
  std::vector<double> flops;
  for (int l = 0; l < static_cast<int>(model.layers.size()); ++l)
    flops.push_back((l == 0 ? 4.0 : 6.0) * double(model::inputs_of(model, width, l)) *
                    double(layer_of(model, l).dense));
  return flops;
}

std::vector<int> cut_stages(const job::Model& model, const std::vector<double>& costs, int stages) {
  if (stages > 1 && model.layers.front().stage) return named_stages(model, stages);
  const std::size_t n = costs.size();
  std::vector<double> before(n + 1, 0);
  std::partial_sum(costs.begin(), costs.end(), before.begin() + 1);
  // loads[end]: the best cut of layers [0, end) into the stages so far; firsts[k][end]: where the last of these begins.
  constexpr double never = std::numeric_limits<double>::infinity();
  std::vector<Load> loads(n + 1, {never, never});
  loads[0] = {0, 0};
  std::vector<std::vector<std::size_t>> firsts;
  for (int k = 0; k < stages; ++k) {
    std::vector<Load> next(n + 1, {never, never});
    firsts.emplace_back(n + 1, 0);
    for (std::size_t end = 1; end <= n; ++end)
      for (std::size_t first = 0; first < end; ++first) {
        const double cost = before[end] - before[first];
        const Load load{std::max(loads[first].first, cost), loads[first].second + cost * cost};
        if (load < next[end]) next[end] = load, firsts.back()[end] = first;
      }
    loads = std::move(next);
  }
  std::vector<int> borders{static_cast<int>(n)};
  for (int k = stages; k-- > 0;)
    borders.push_back(static_cast<int>(firsts[static_cast<std::size_t>(k)][static_cast<std::size_t>(borders.back())]));
  std::reverse(borders.begin(), borders.end());
  return borders;
}

std::vector<Index> equal_borders(Index width, int ranks) {
  constexpr Index line = 16, wide = 4 * line;  // a border moved by half a line is little of so many
  const Index unit = width >= wide * ranks ? line : 1;
  std::vector<Index> borders;
  for (Index t = 0; t < ranks; ++t) borders.push_back((width * t / ranks + unit / 2) / unit * unit);
  borders.push_back(width);
  return borders;
}

std::vector<LayerCut> cut_layers(const job::Model& model, Index width, const StageShape& stage, int ranks) {
  return Cutter(model, width, stage, ranks).choose();
}

Exchanges exchanges_of(const job::Model& model, Index width, const model::Cell& cell) {
  Exchanges all;
  const LayerCut* under = nullptr;
  for (std::size_t i = 0; i < cell.cuts.size(); ++i) {
    const int l = cell.first_layer + static_cast<int>(i);
    const LayerCut& cut = cell.cuts[i];
    all = all + below(under, cut, model::inputs_of(model, width, l), l > 0) + sum_of(cut, layer_of(model, l).dense);
    under = &cut;
  }
  return under == nullptr ? all : all + leaving(*under, layer_of(model, cell.end_layer - 1).dense);
}

std::vector<model::Cell> split_network(const job::Model& model, Index width, const job::Split& split, Index rows,
                                       bool sparse) {
  const auto stages = static_cast<int>(split.pipeline), ranks = static_cast<int>(split.tensor);
  const std::vector<int> firsts = cut_stages(model, layer_flops(model, width), stages);
  std::vector<model::Cell> cells;
  for (int p = 0; p < stages; ++p) {
    model::Cell cell{p, stages, 0, ranks, firsts[static_cast<std::size_t>(p)], firsts[static_cast<std::size_t>(p) + 1],
                     {}};
    if (ranks > 1) cell.cuts = cut_layers(model, width, {cell.first_layer, cell.end_layer, rows, sparse}, ranks);
    for (cell.rank = 0; cell.rank < ranks; ++cell.rank) cells.push_back(cell);
  }
  return cells;
}

const char* form_name(const LayerCut& cut) { return cut.by_output ? "output" : sharers(cut) > 1 ? "input" : "none"; }

std::string cut_words(const model::Cell& cell) {
  std::string words;
  for (int i = 0; i < cell.layers(); ++i) {
    words += fmt::format("{}{}", i == 0 ? "" : ", ", cell.first_layer + i);
    if (!cell.cuts.empty()) words += fmt::format(" {}", form_name(cell.cuts[static_cast<std::size_t>(i)]));
  }
  return words;
}

}  // namespace dtrain::plan
