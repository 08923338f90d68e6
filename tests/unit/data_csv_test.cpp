#include "data/csv.h"

#include <fmt/format.h>

#include "data_test_files.h"

namespace backplane {
namespace {

using Numbers = std::vector<double>;
using Labels = std::vector<std::int64_t>;

CsvColumn column(const std::string& name) {
  return {name, {Place{"run.yaml", 3, 5}, "data.labels", ExitCode::bad_config}};
}

CsvOptions labelled(const std::string& name = "class") {
  CsvOptions options;
  options.train = "train.csv";
  options.labels = column(name);
  return options;
}

class DataCsv : public DataFiles {
 protected:
  static DataSet load(const std::string& text, const CsvOptions& options = labelled()) {
    write("train.csv", text);
    return load_csv(options);
  }
  static std::string error(const std::string& text, const CsvOptions& options = labelled()) {
    return user_error([&] { load(text, options); });
  }
};

TEST_F(DataCsv, ReadsInputsAndClassNumbers) {
  const DataSet data = load("x,class,y\n1,2,-0.5\n+1e3,0, 7 \n");
  EXPECT_EQ(data.input_shape, Shape{2});
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{1, -0.5, 1000, 7}));
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{2, 0}));
  EXPECT_TRUE(data.class_names.empty());
  EXPECT_EQ(data.files, std::vector<std::string>{"train.csv"});
}

TEST_F(DataCsv, SortsAndNumbersClassNames) {
  write("test.csv", "x,class\n9,cat\n");
  CsvOptions options = labelled();
  options.test = "test.csv";
  const DataSet data = load("x,class\n1,dog\n2,cat\n3,eel\n", options);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"cat", "dog", "eel"}));
  EXPECT_EQ(std::get<Labels>(data.train.targets), (Labels{1, 0, 2}));
  EXPECT_EQ(std::get<Labels>(data.test->targets), Labels{0});
  EXPECT_EQ(data.classes, 3);
}

TEST_F(DataCsv, RefusesAnUnknownClassInTheTestFile) {
  write("test.csv", "x,class\n9,dgo\n");
  CsvOptions options = labelled();
  options.test = "test.csv";
  EXPECT_EQ(error("x,class\n1,dog\n2,cat\n", options),
            "65 test.csv:2:3: error: class 'dgo' is not in the training file\n  did you mean 'dog'?   known: cat, dog");
  EXPECT_EQ(error("x,class\n1,1\n", options),
            "65 test.csv:2:3: error: expected a class number from 0, found text\n"
            "  hint: the classes of the training file are numbers");
}

TEST_F(DataCsv, RefusesATestFileWithOtherColumns) {
  write("test.csv", "class,x\n0,9\n");
  CsvOptions options = labelled();
  options.test = "test.csv";
  EXPECT_EQ(error("x,class\n1,1\n", options),
            "65 test.csv: error: column 1 is not 'x', as in 'train.csv'\n"
            "  hint: both files need the same columns in the same order");
  write("test.csv", "x,y,class\n0,9,0\n");
  EXPECT_EQ(error("x,class\n1,1\n", options),
            "65 test.csv: error: 3 columns, and 'train.csv' has 2\n"
            "  hint: both files need the same columns in the same order");
}

TEST_F(DataCsv, ReadsTargetsAndChosenInputs) {
  CsvOptions options;
  options.train = "train.csv";
  options.targets = {column("t2"), column("t1")};
  options.inputs = {column("x")};
  const DataSet data = load("note,x,t1,t2\nignored text,1,2,3\n", options);
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), Numbers{1});
  EXPECT_EQ(std::get<Numbers>(data.train.targets), (Numbers{3, 2}));
  EXPECT_EQ(data.target_size, 2);
  EXPECT_EQ(data.classes, 0);
}

TEST_F(DataCsv, CountsColumnsWhereThereIsNoHeader) {
  CsvOptions options = labelled("2");
  options.header = false;
  options.delimiter = ';';
  const DataSet data = load("1;2;0\n3;4;1\n", options);
  EXPECT_EQ(data.train.count, 2);
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{1, 2, 3, 4}));
}

TEST_F(DataCsv, FollowsTheQuotesOfRfc4180) {
  const DataSet data =
      load("\"x\",\"the \"\"class\"\", quoted\"\r\n\"1\",\"a\nb\"\r\n\r\n2,c", labelled("the \"class\", quoted"));
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{1, 2}));
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"a\nb", "c"}));
}

TEST_F(DataCsv, KeepsBlanksThatStandInQuotes) {
  const DataSet data = load("\" x\",x,class\n1,2,\"cat \"\n3,4, cat \n\" 5 \",6,dog\n");
  EXPECT_EQ(data.input_names, (std::vector<std::string>{" x", "x"}));
  EXPECT_EQ(std::get<Numbers>(data.train.inputs), (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"cat", "cat ", "dog"}));
  EXPECT_EQ(data.warnings, std::vector<std::string>{"train.csv: the classes 'cat' and 'cat ' differ by blanks only, "
                                                    "which stand in quotes there"});
  EXPECT_NE(error("x,class\n1,\"  \"\n").find("a missing value"), std::string::npos);
}

TEST_F(DataCsv, SkipsAByteOrderMark) {
  EXPECT_EQ(load("\xEF\xBB\xBF"
                 "class,x\n1,2\n")
                .classes,
            2);
}

TEST_F(DataCsv, NamesThePlaceOfABadField) {
  EXPECT_EQ(error("x,class\n1,0\n1.5x,0\n"),
            "65 train.csv:3:1: error: expected a finite number in column 'x', found text\n"
            "  hint: `inputs` and `targets` name the columns to use; all of them hold numbers");
  EXPECT_EQ(error("x,class\n1,-1\n"),
            "65 train.csv:2:3: error: expected a class number from 0, found '-1'\n"
            "  hint: classes are counted from 0: write 0 and 1 for -1 and 1");
}

TEST_F(DataCsv, RepeatsNothingOfAFileThatIsNoTable) {
  const std::string secret = "root:$y$j9T$secret:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n";
  for (const char delimiter : {',', ':', '$', ';'}) {
    CsvOptions options = labelled();
    options.delimiter = delimiter;
    EXPECT_EQ(error(secret, options).find("secret"), std::string::npos) << error(secret, options);
    options.header = false;
    EXPECT_EQ(error(secret, options).find("secret"), std::string::npos) << error(secret, options);
    options.labels = column("0");
    EXPECT_EQ(error(secret, options).find("secret"), std::string::npos) << error(secret, options);
  }
  CsvOptions options = labelled();
  options.delimiter = '=';
  const std::string error = DataCsv::error("PASSWORD=secret\nUSER=me\n", options);
  EXPECT_EQ(error, "78 run.yaml:3:5: error: 'train.csv' has no column 'class'\n  data.labels");
}

TEST_F(DataCsv, ReportsWhatItConcluded) {
  const DataSet data = load(",x,class\n7,1,dog\n8,2,cat\n");
  std::vector<std::string> found;
  for (const Finding& finding : findings_of(data)) found.push_back(finding.name + ": " + in_short(finding));
  EXPECT_EQ(found, (std::vector<std::string>{"files: train.csv", "delimiter: ,", "header: true", "labels: class",
                                             "left_out_without_name: column 1", "inputs: x", "train_samples: 2",
                                             "train_range: 1, 2", "classes: 2", "class_names: cat, dog"}));
  EXPECT_TRUE(data.warnings.empty());
}

TEST_F(DataCsv, WarnsOfWhatMayBeWrong) {
  std::string rows = "id,x,class\n";
  for (int i = 1; i <= 10; ++i) rows += fmt::format("{},{},{}\n", i, i * i, i < 5 ? "1" : i < 8 ? "2" : "b");
  EXPECT_EQ(load(rows).warnings,
            (std::vector<std::string>{
                "train.csv: input 'id' only counts the rows; `inputs` names the columns to use",
                "train.csv: 2 of the 3 classes are numbers, the others words: all are taken for names"}));
}

TEST_F(DataCsv, NamesThePlaceOfABadRow) {
  EXPECT_EQ(error("x,class\n1,0\n2,0,3\n"),
            "65 train.csv:3:1: error: expected 2 fields, found 3\n"
            "  hint: a field that holds the delimiter, as a decimal comma may, is to be put in quotes");
  EXPECT_EQ(error("x,class\n1\n"),
            "65 train.csv:2:1: error: expected 2 fields, found 1\n"
            "  hint: each line has as many fields as the first one; nothing stands in a field that has no value");
  EXPECT_EQ(error("x,class\n1,\"0\n"),
            "65 train.csv:2:3: error: the quote that opens this field is never closed\n"
            "  hint: close it where the field ends; a quote inside a quoted field is written twice");
  EXPECT_EQ(error("x,class\n1,\"0\"0\n"),
            "65 train.csv:2:3: error: text follows the closing quote of this field\n"
            "  hint: a quote inside a quoted field is written twice");
  EXPECT_EQ(error("x,class\n1,0\"0\n"),
            "65 train.csv:2:3: error: a quote stands inside a field that does not begin with one\n"
            "  hint: put the whole field in quotes and write the inner one twice");
}

TEST_F(DataCsv, RefusesFilesWithoutSamples) {
  EXPECT_EQ(error(""), "65 train.csv: error: the file is empty");
  EXPECT_EQ(error("\n\n"), "65 train.csv: error: the file is empty");
  EXPECT_EQ(error("x,class\n"), "65 train.csv: error: the file has a header but no rows");
  EXPECT_EQ(error("class,\n1,\n"), "65 train.csv: error: no column is left for the inputs");
  EXPECT_EQ(error("x,x,class\n1,2,0\n"), "65 train.csv:1:3: error: a second column is named 'x'");
  std::filesystem::remove("train.csv");
  EXPECT_EQ(user_error([] { load_csv(labelled()); }), "66 train.csv: error: there is no such file");
}

TEST_F(DataCsv, SuggestsTheColumnThatWasMeant) {
  EXPECT_EQ(error("x,class\n1,0\n", labelled("clas")),
            "78 run.yaml:3:5: error: 'train.csv' has no column 'clas'\n  data.labels\n"
            "  did you mean 'class'?   known: x, class");
  CsvOptions twice = labelled();
  twice.inputs = {column("class")};
  EXPECT_EQ(error("x,class\n1,0\n", twice), "78 run.yaml:3:5: error: column 'class' is wanted twice\n  data.labels");
}

TEST_F(DataCsv, RefusesAFieldWithoutReasonableLength) {
  EXPECT_EQ(error("x,class\n\"" + std::string(2'000'000, '\n') + "\",0\n"),
            "65 train.csv:2:1: error: a field of more than 1048576 bytes begins here\n  hint: a closing quote may be "
            "missing");
}

}  // namespace
}  // namespace backplane
