#include <doctest/doctest.h>

#include <numeric>
#include <random>
#include <set>

#include "model/pipeline.hpp"
#include "model_grid.hpp"

using namespace model_support;
using job::LayerSplit;
using job::PipelineSchedule;

namespace {

constexpr Index width = 9;

int draw_below(std::mt19937& engine, int end) { return static_cast<int>(engine() % static_cast<unsigned>(end)); }

/// A grid over a network of any widths, with any stages and forms, and borders at any places.
struct RandomGrid {
  job::Model model;
  std::vector<Cell> cells;

  explicit RandomGrid(std::mt19937& engine) {
    const int count = 1 + draw_below(engine, 5), ranks = 1 + draw_below(engine, 4);
    for (int l = 0; l < count; ++l)
      model.layers.push_back(dense(1 + draw_below(engine, 13), job::Activation::relu, 0, engine() % 2 == 0));
    std::set<int> begins{0, count};
    for (int s = 0; s < 2; ++s) begins.insert(draw_below(engine, count));
    std::vector<LayerSplit> forms;
    for (int l = 0; l < count; ++l)
      forms.push_back(std::vector{LayerSplit::output, LayerSplit::input, LayerSplit::none}[engine() % 3]);
    cells = cells_of(model, width, {begins.begin(), begins.end()}, ranks, forms, engine() % 2 == 0);
  }
};

std::vector<float> numbered(Index count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

}  // namespace

TEST_CASE("every weight lies in exactly one cell, and where its tensor says") {
  std::mt19937 engine(5);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const RandomGrid grid(engine);
    const Layout whole = make_layout(grid.model, width);
    std::vector<int> seen(static_cast<std::size_t>(whole.total));
    std::vector<int> decayed(seen.size());
    for (const Cell& cell : grid.cells) {
      const Layout layout = make_layout(grid.model, width, cell);
      for (const Tensor& tensor : layout.tensors) {
        const Tensor* same = nullptr;
        for (const Tensor& other : whole.tensors)
          if (other.name == tensor.name) same = &other;
        REQUIRE(same != nullptr);
        CHECK(same->layer == tensor.layer + cell.first_layer);
        CHECK(same->is_bias == tensor.is_bias);
        CHECK(tensor.whole.offset == same->offset);
        CHECK(tensor.whole.cols == same->cols);
        CHECK(tensor.whole.first_row + tensor.rows <= same->rows);
        CHECK(tensor.whole.first_col + tensor.cols <= same->cols);
        for (Index k = 0; k < tensor.count(); ++k) ++seen[element_of(tensor, k)];
        for (const Range& range : layout.decayed)
          for (Index k = 0; k < tensor.count(); ++k)
            decayed[element_of(tensor, k)] += tensor.offset + k >= range.begin && tensor.offset + k < range.end;
      }
    }
    CHECK(seen == std::vector<int>(seen.size(), 1));
    for (const Tensor& tensor : whole.tensors)
      for (Index k = 0; k < tensor.count(); ++k)
        CHECK(decayed[static_cast<std::size_t>(tensor.offset + k)] == (tensor.is_bias ? 0 : 1));
  }
}

TEST_CASE("a cell's tensors lie one behind the other, and each of its layers has its range of them") {
  std::mt19937 engine(6);
  for (int round = 0; round < 200; ++round) {
    const RandomGrid grid(engine);
    for (const Cell& cell : grid.cells) {
      const Layout layout = make_layout(grid.model, width, cell);
      REQUIRE(std::ssize(layout.layers) == cell.layers());
      Index end = 0;
      for (const Tensor& tensor : layout.tensors) {
        CHECK(tensor.count() > 0);
        CHECK(tensor.offset == end);
        end += tensor.count();
        const Range& range = layout.layers[static_cast<std::size_t>(tensor.layer)];
        CHECK((range.begin <= tensor.offset && end <= range.end));
      }
      CHECK(layout.total == end);
      CHECK(layout.layers.front().begin == 0);
      CHECK(layout.layers.back().end == end);
      for (std::size_t l = 1; l < layout.layers.size(); ++l) CHECK(layout.layers[l].begin == layout.layers[l - 1].end);
    }
  }
}

TEST_CASE("the layout of a whole cell is that of the network") {
  const job::Model model{{dense(5), dense(7, job::Activation::relu, 0, false), dense(2)}, {}};
  const Layout whole = make_layout(model, width), same = make_layout(model, width, whole_cell(model));
  REQUIRE(whole.tensors.size() == 5);
  CHECK(same.total == whole.total);
  CHECK(whole.total == 9 * 5 + 5 + 5 * 7 + 7 * 2 + 2);
  CHECK(whole.layers == std::vector<Range>{{0, 50}, {50, 85}, {85, 101}});
  CHECK(whole.decayed == std::vector<Range>{{0, 45}, {50, 85}, {85, 99}});
  for (const Tensor& tensor : whole.tensors) CHECK(tensor.whole == Place{tensor.offset, tensor.cols, 0, 0});
}

TEST_CASE("the parts of all cells, taken and put in ranges of any length, make up the whole") {
  std::mt19937 engine(7);
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    const RandomGrid grid(engine);
    const auto whole = numbered(make_layout(grid.model, width).total);
    std::vector<float> restored(whole.size());
    for (const Cell& cell : grid.cells) {
      const Layout layout = make_layout(grid.model, width, cell);
      std::vector<float> all(static_cast<std::size_t>(layout.total));
      take_part(layout, {0, layout.total}, whole, all);
      for (const Tensor& tensor : layout.tensors)
        for (Index k = 0; k < tensor.count(); ++k)
          CHECK(all[static_cast<std::size_t>(tensor.offset + k)] == whole[element_of(tensor, k)]);
      for (Index begin = 0; begin < layout.total;) {
        const Index end = std::min<Index>(layout.total, begin + 1 + draw_below(engine, 40));
        std::vector<float> part(static_cast<std::size_t>(end - begin));
        take_part(layout, {begin, end}, whole, part);
        CHECK(std::equal(part.begin(), part.end(), all.begin() + begin));
        put_part(layout, {begin, end}, part, restored);
        begin = end;
      }
    }
    CHECK(restored == whole);
  }
}

TEST_CASE("a stage does every micro-batch forward and then backward, backward in order, with the fewest in flight") {
  for (const auto schedule : {PipelineSchedule::gpipe, PipelineSchedule::one_f_one_b})
    for (int stages = 1; stages <= 5; ++stages)
      for (int stage = 0; stage < stages; ++stage)
        for (int m = 1; m <= 9; ++m) {
          CAPTURE(stages);
          CAPTURE(stage);
          CAPTURE(m);
          const PipelineOrder order(schedule, stage, stages, m);
          REQUIRE(order.actions() == 2 * m);
          int forward = 0, backward = 0, most = 0;
          for (int k = 0; k < order.actions(); ++k) {
            const Action action = order.at(k);
            CHECK(action.micro == (action.forward ? forward : backward));
            ++(action.forward ? forward : backward);
            CHECK(backward <= forward);
            most = std::max(most, forward - backward);
          }
          CHECK((forward == m && backward == m));
          CHECK(most == order.in_flight());
          const bool all_first = schedule == PipelineSchedule::gpipe && stages > 1;
          CHECK(most == (all_first ? m : std::min(m, stages - stage)));
        }
}

TEST_CASE("the orders are those of the papers") {
  const auto text = [](PipelineSchedule schedule, int stage, int stages, int m) {
    std::string words;
    const PipelineOrder order(schedule, stage, stages, m);
    for (int k = 0; k < order.actions(); ++k)
      words += (order.at(k).forward ? 'F' : 'B') + std::to_string(order.at(k).micro);
    return words;
  };
  CHECK(text(PipelineSchedule::gpipe, 1, 3, 3) == "F0F1F2B0B1B2");
  CHECK(text(PipelineSchedule::gpipe, 0, 1, 3) == "F0B0F1B1F2B2");
  CHECK(text(PipelineSchedule::one_f_one_b, 0, 1, 3) == "F0B0F1B1F2B2");
  CHECK(text(PipelineSchedule::one_f_one_b, 0, 3, 4) == "F0F1F2B0F3B1B2B3");
  CHECK(text(PipelineSchedule::one_f_one_b, 1, 3, 4) == "F0F1B0F2B1F3B2B3");
  CHECK(text(PipelineSchedule::one_f_one_b, 2, 3, 4) == "F0B0F1B1F2B2F3B3");
  CHECK(text(PipelineSchedule::one_f_one_b, 0, 4, 2) == "F0F1B0B1");
}
