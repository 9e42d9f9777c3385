#!/bin/bash
# `explain` and `schema` tell what the catalogue of keys holds.
. "$(dirname "$0")/lib.sh"

run explain train.batch
expect_exit 0
expect_line stdout "train.batch"
expect_line stdout "  default  128"

run explain model.layers.dense
expect_exit 0
expect_line stdout "model.layers[].dense"
run explain 'model.layers[].dense'
expect_line stdout "model.layers[].dense"

run explain train.optimizer
expect_exit 0
expect_part stdout "  train.optimizer.learning_rate "
grep -q "train.epochs" stdout && complain "a section holds a key of another"

run explain
expect_exit 0
expect_part stdout "  sync.policy "
awk 'length > 80' stdout > long
[ ! -s long ] || complain "lines longer than 80 columns: $(cat long)"

run explain sync.alpha
expect_exit 0
expect_line stdout "  type     number or auto"
expect_line stdout "  range    (0, 1)"
expect_line stdout "  default  auto"

run explain sync.policy --json
expect_exit 0
expect_part stdout '"key": "sync.policy"'
expect_part stdout '"bsp"'

expect_usage "no key 'train.bach'; did you mean train.batch? (dtrain explain lists them all)" explain train.bach
expect_usage "no key 'learning_rate'; did you mean train.optimizer.learning_rate? (dtrain explain lists them all)" \
  explain learning_rate
expect_usage "no key 'frobnicate' (dtrain explain lists them all)" explain frobnicate

run schema
expect_exit 0
expect_part stdout '"https://json-schema.org/draft/2020-12/schema"'
expect_part stdout '"learning_rate"'

finish
