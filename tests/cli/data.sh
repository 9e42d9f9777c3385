#!/bin/bash
# `data info` tells what is in a file or a job's files; `init` writes a job that trains at once and overwrites nothing.
. "$(dirname "$0")/lib.sh"

awk -v OFS=, 'BEGIN { print "id", "age", "city", "joined", "user", "fare", "same", "size", "bought"
  for (i = 0; i < 300; ++i)
    print 1000 + i, (i % 10 ? 20 + i % 50 : ""), (i % 3 ? "Oslo" : "Bergen"), sprintf("2024-%02d-%02d", 1 + i % 12, 1 + i % 28),
      "u" i % 120, (i % 97 ? i % 30 : 50000), 1, (i % 4 ? 40 + i % 4 : "XL"), (i % 50 > 25 ? "yes" : "no") }' > shop.csv

run data info shop.csv
expect_exit 0
expect_line stdout 'shop.csv: 300 rows, 8 columns'
expect_part stdout 'bought (target)   text'
grep -qE '^  age +number +30 +45 ' stdout || complain "age is not as it is: $(cat stdout)"
grep -qE '^  joined +date ' stdout || complain "joined is no date: $(cat stdout)"
expect_part stdout '  city: Oslo 200, Bergen 100'

run data info shop.csv --json
expect_exit 0
expect_part stdout '"duplicates": 0'

head -5 shop.csv > twice.csv
sed -n 2,4p shop.csv >> twice.csv
cat > twice.yaml << 'END'
model: {layers: [{dense: 1}], loss: binary_cross_entropy}
data: {format: csv, train: shop.csv, test: twice.csv, csv: {categorical: [size]}}
END
run data info twice.yaml
expect_exit 0
expect_part stdout 'test: 7 rows, 8 columns; 3 rows repeat an earlier one'
expect_line stdout '7 of 7 test rows are among the training rows'
run data info configs.csv
expect_exit 4
printf 'words without any sense\0' > odd.bin
run data info odd.bin
expect_exit 4

run data convert shop.csv --target bought -o shop.rows
expect_exit 0
expect_part stdout 'shop.rows is written: 300 rows of 8 columns'
run data info shop.rows
expect_exit 0
expect_part stdout 'bought (target)   text'
run data convert twice.yaml -o both.rows --json
expect_exit 0
expect_part stdout '"file": "both.test.rows"'
run data convert shop.csv
expect_exit 2
run data convert shop.csv --target nobody -o none.rows
expect_exit 4
[ ! -e none.rows ] || complain "rows were written without a target"
run data convert shop.csv --format tsv --no-header -o none.rows
expect_exit 4
run data convert twice.yaml --target bought -o none.rows
expect_exit 2
printf '\377\377' | dd of=shop.rows bs=1 seek=$(($(stat -c %s shop.rows) / 2)) conv=notrunc status=none
run data info shop.rows
expect_exit 4
expect_part stderr 'its numbers are not those that were written'

run init --data shop.csv --target bought
expect_exit 0
expect_line stdout 'job.yaml is written; now: dtrain run job.yaml'
for line in 'names: [id], as: ignore' 'names: [city, size], as: category' 'names: [joined], as: date' \
  'names: [user], as: hash, buckets: 256' 'names: [fare], log: log1p' 'names: [same], as: ignore' \
  'loss: binary_cross_entropy' 'missing: median' 'holdout: 0.2'; do
  grep -qF "$line" job.yaml || complain "the job lacks '$line': $(cat job.yaml)"
done
run check job.yaml
expect_exit 0
expect_empty stderr
run run job.yaml --set train.epochs=2 -q
expect_exit 0
run init --data shop.csv --target bought
expect_exit 2
expect_part stderr 'job.yaml is there already: name another with -o'

mkdir jobs
run init --data shop.csv --target age -o jobs/age.yaml
expect_exit 4
expect_part stderr "column 'age' has no value in 30 of 300 rows"
run init --data shop.csv --target size -o jobs/size.yaml
expect_exit 0
grep -q 'softmax_cross_entropy' jobs/size.yaml || complain "four sizes are no classes: $(cat jobs/size.yaml)"
run check jobs/size.yaml
expect_exit 0
run init --data shop.csv --target id -o jobs/id.yaml
expect_exit 0
grep -q 'mean_squared_error' jobs/id.yaml || complain "300 numbers are classes: $(cat jobs/id.yaml)"
run init --data shop.csv --target nobody -o jobs/none.yaml
expect_exit 4
[ ! -e jobs/none.yaml ] || complain "a job was written without a target"
finish
